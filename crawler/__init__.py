"""The crawler: reads domain lists, measures, and writes snapshots.

Floors, imports go down only::

    cli          the commands
    scan         passes, shards, rounds: what is asked next
    probe        one question to one endpoint -> rows    snapshot   lists in, Parquet out
    net          sockets: resolver, TLS, HTTPS, SMTP
    politeness   whom we may contact, and when
    assessment   observed rows -> judged rows (pure)
    protocol     bytes and values in, values out (pure)
    records, vocabulary, config

``lab`` stands beside them: an embedded Internet whose truth a person wrote.
"""

__version__ = "0.1.0"
