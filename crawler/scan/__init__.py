"""Scanning: what is asked next, in which order, and what is written down when.

``run`` is a whole scan; ``passes`` the table of passes and ``rounds`` how they run, shard by
shard; ``executor`` says who runs the shards: this process, or a ``crew`` of workers, which
are ``processes`` or ``actors`` of a ``cluster``; ``sink`` takes the rows to disk; ``health`` counts what the
resolvers did; ``destinations`` keeps one slow host from holding up the others; ``judge`` is the
last pass, which touches no network, and ``rejudge`` the same over a sealed scan.  ``check`` runs
the passes for a person, ``doctor`` examines the vantage.
"""
