"""The benchmarks: the DNS client and the names pass beside their peers, on loopback.

``python -m tests.benchmarks`` starts the servers, runs every client in turn and says what each
costs; README.md says how to read it.  Nothing here is a test of ``make test`` but the few that
check the arithmetic::

    __main__      the command: parts, rounds, output
    servers       NSD with the load world, unbound in front of it
    workload      the questions, as the files that the clients read
    clients       the table of clients: command, and how to read what it prints
      ours          the crawler, through its public calls
      peer_*        small programs around the peers that are Python libraries
    measure       one command to its end: seconds, CPU, memory
    figures       samples, medians, ratios        } pure
    goals         what is aimed at, and whether   }
    report        tables, and what machine it was
"""
