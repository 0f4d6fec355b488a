"""A cluster that takes itself for one of two machines, on loopback: ``python -m ...``.

Prints its address, and the process whose death is that of the second machine.  Ends with standard
input.
"""

from __future__ import annotations

import sys
import threading

from ray.cluster_utils import Cluster


def main() -> None:
    """Serve until standard input ends."""
    head = {"num_cpus": 2, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    second = cluster.add_node(num_cpus=1)
    (raylet,) = second.all_processes["raylet"]
    # Its actors look whether there is a process of that number, and a dead one is until then.
    threading.Thread(target=raylet.process.wait, daemon=True).start()
    sys.stdout.write(f"{cluster.address} {raylet.process.pid}\n")
    sys.stdout.flush()
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main()
