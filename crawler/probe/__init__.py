"""One question to one endpoint becomes rows: facts, without a verdict.

Two probes ask the resolver and take any number of targets at once; two hold a conversation and
take one target each::

    names      TXT and MX of a domain           -> TxtLookup, MxLookup
    hosts      A, AAAA and TLSA of a host       -> AddressLookup, TlsaLookup
    policy     one policy file at one address   -> PolicyFetch
    starttls   one MX host at one address       -> StarttlsSession
    lookups    what every lookup row has in common
    patience   waiting for what this machine lacks

Every target gets its row, also one that is left alone because its owner asks for it.
"""
