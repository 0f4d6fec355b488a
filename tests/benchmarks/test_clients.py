"""What the clients print is read rightly; the samples are what each one writes at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import clients
from tests.benchmarks.clients import CLIENTS, Client, Task
from tests.benchmarks.workload import Workload

DNSPERF = """\
Statistics:

  Queries sent:         120000
  Queries completed:    119990 (99.99%)
  Queries lost:         10 (0.01%)

  Response codes:       NOERROR 63026 (52.53%), NXDOMAIN 56950 (47.46%), SERVFAIL 14 (0.01%)
  Average packet size:  request 34, response 102
  Run time (s):         0.942366
"""

MASSDNS = """\
{"concurrency":1000,"response":{"OK":{"success_number":1,"total_number":1}}}
{"concurrency":1000,"response":{"OK":{"success_number":30,"total_number":31},\
"NXDOMAIN":{"success_number":10,"total_number":10},"SERVFAIL":{"success_number":0,"total_number":2}}}
"""

ZDNS = '{"names":45,"lookups":45,"statuses":{"NOERROR":30,"NXDOMAIN":10,"TIMEOUT":5}}\n'

OURS = """\
a warning
{"answers": 40, "seconds": 0.5, "cpu": 0.4, "statuses": {"NOERROR": 40}}
"""


@pytest.mark.parametrize(
    ("read", "output", "answers", "seconds"),
    [
        (clients.read_dnsperf, DNSPERF, 119976, 0.942366),
        (clients.read_massdns, MASSDNS, 40, None),
        (clients.read_zdns, ZDNS, 40, None),
        (clients.read_json, OURS, 40, 0.5),
    ],
)
def test_readers(read: clients.Read, output: str, answers: int, seconds: float | None) -> None:
    """Definite answers only: a SERVFAIL or a timeout is a question without one."""
    reading = read(output)
    assert (reading.answers, reading.seconds) == (answers, seconds)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_what_cannot_be_read_is_an_error(client: Client) -> None:
    """A client that printed nothing has no figures."""
    with pytest.raises(ValueError, match="no "):
        client.read("Segmentation fault\n")


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_commands_name_the_server_and_files_that_exist(client: Client, tmp_path: Path) -> None:
    """The files hold the questions of the workload, as often as the client needs them there."""
    (tmp_path / "domains.csv").write_text("1,a.load\n2,b.load\n3,c.load\n")
    workload = Workload(tmp_path, domains=2, repeat=3)
    commands = client.commands(Task(("127.0.0.1", 5353), workload, tmp_path))
    assert "5353" in str(commands) or (tmp_path / "servers.txt").read_text() == "127.0.0.1:5353\n"
    assert any(path.name in str(commands) for path in tmp_path.glob("*-2*"))


def test_the_questions(tmp_path: Path) -> None:
    """TXT and MX of the first domains."""
    (tmp_path / "domains.csv").write_text("1,a.load\n2,b.load\n3,c.load\n")
    workload = Workload(tmp_path, domains=2, repeat=2)
    assert workload.questions == 8
    assert workload.pairs.read_text() == (
        "_mta-sts.a.load TXT\na.load MX\n_mta-sts.b.load TXT\nb.load MX\n"
    )
    assert workload.of_type("TXT").read_text() == "_mta-sts.a.load\n_mta-sts.b.load\n" * 2
    assert workload.listed.read_text() == "1,a.load\n2,b.load\n"


def test_the_reference_is_in_every_part() -> None:
    """Every part has something to be compared with."""
    (reference,) = [client for client in CLIENTS if client.name == clients.REFERENCE]
    assert reference.parts == frozenset().union(*(client.parts for client in CLIENTS))
