"""The lab: an embedded Internet with ground truth, for tests, demonstrations and teaching.

Everything runs in one process on the loopback interface: a resolver, Policy Hosts, MX hosts and
the certificate authorities behind them.  What is true of each domain was written by a person::

    scenario      the shapes: Scenario, PolicyHost, MailHost, Truth
    catalogue     the literals, one file per family (catalogue_*), built of fragments
    prevalence    how common each scenario is, and what the years do to it
    population    N domains from a seed: lazy, invertible, in constant memory
    operators     who receives mail for many, and who hosts policies for many
    site          one domain made concrete: zone, addresses, policy
      zone          zone text -> records
      addresses     which 127.x.y.z
      pki           certificates, good and bad
    nameserver    plays the resolver
    policy_host   plays the Policy Hosts     } listen: what happens before a word is said
    mail_host     plays the MX hosts         } tls: the server's side of a handshake
    log           what the hosts saw
    truth         the truth as a table, and how far a scan agrees
    world         starts it all and writes lab.toml, roots.pem, domains.csv, truth.parquet
    export        the same world as files for real servers
    load          a large, plain world as one zone file: what speed is measured on
      load_hosts  its hosts for a real nginx
      load_pki    their certificates, all of them good

The lab imports ``crawler.vocabulary`` and nothing else of the crawler.  If it shared a parser or
a rule with it, agreement would prove only that the code agrees with itself.
"""

from crawler.lab.export import export
from crawler.lab.truth import Agreement, Difference, compare
from crawler.lab.world import World, open_world, serve

__all__ = ["Agreement", "Difference", "World", "compare", "export", "open_world", "serve"]
