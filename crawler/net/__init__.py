"""Sockets: the only floor that talks to anybody.

It asks ``politeness`` before every query and every connection, and it hands up values: whatever
the other side does is an answer or an exchange with a status, never an exception.

The resolver client, from the top down::

    resolver        ask any number of questions, or one; what a scan uses
    resolver_pool   which question goes to which resolver, and when; retries, deadlines
    upstream        one resolver: its sockets, its pace, its health
    datagrams       a UDP socket            dns_tcp   a pipelined TCP connection
    segments        many datagrams in one system call
    channel         what both have in common: open questions by message id
    lookup          one question, its tries and its answer
    dns_check       can this resolver be trusted with a scan?

Conversations with policy hosts and MX hosts, which need a permit of ``politeness.gate``::

    https           one GET of a policy file
    smtp            greeting, EHLO, STARTTLS, EHLO, QUIT
    tls             a handshake that measures and does not verify
    conversation    one deadline over the steps of either, and the connection under it
    failure         exception -> status, the only such map

``vantage`` looks at this machine and sends nothing.
"""
