"""Whether, and when, a host may be contacted.  Everything that leaves the machine asks here first.

    addresses    may this address be dialled at all?  special-use ranges, the closed world, us
    opt_out      has its owner asked to be left alone?  names, addresses, networks
    destination  which network prefix does an address belong to?
    pace         when may the next connection to it start?  pure arithmetic over a clock
    gate         the three together, over trio: the only maker of a ``Permit`` to connect
    query_rate   the budget of queries to one recursive resolver

The shape enforces the habit: the functions of ``net`` that open a connection take a ``Permit``,
a permit is good for one connection, and only ``Gate.admit`` makes one.
"""
