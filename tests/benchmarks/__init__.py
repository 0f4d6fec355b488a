"""The benchmarks: the crawler's clients, its judgement and whole scans beside their peers, on
loopback.

``python -m tests.benchmarks`` starts the servers, runs every client in turn and says what each
costs; README.md says how to read it.  Nothing here is a test of ``make test`` but the few that
check the arithmetic, the readers and the servers::

    __main__      the command: parts, rounds, output
    parts         the table of parts: work, servers, clients
    world         the load world as files, and what has to run for a part
      servers     NSD with the load world, unbound in front of it
      hosts       nginx as Policy Hosts and MX hosts; tarpits, which tarpit plays; delays before them
      chains      certificate chains to be judged
    workload      the work, as the files that the clients read
    clients       what a client is: command, and how to read what it prints
      clients_*   the tables: dns, tls, scan
      ours*       the crawler, through its public calls; stages: how it says what it took
      peer_*      small programs around the peers that are Python libraries, and a bare loop
    measure       one command to its end: seconds, CPU, memory
    figures       samples, medians, ratios        } pure
    goals         what is aimed at, and whether   }
    report        tables, and what machine it was
"""
