"""The rules: recorded facts in, judgements out.  Pure: no I/O, no clock, no randomness.

Whatever is judged here can be judged again from the same rows, years later and with newer
rules.  What a record, a policy or a chain says by its standard is read by ``crawler.protocol``;
this package puts the readings of one domain side by side and says what they amount to.

Judging what was observed, each conversation once::

    sessions   one policy fetch, one STARTTLS session -> how far it got
    handshake  what TLS agreed on, and what is weak in it
    senders    who would by its defaults not have agreed to it
    transient  one row -> whether to ask again

Judging a domain::

    evidence   everything known about one domain, as the snapshot gathers it
    lookups    what a lookup row says on its own, and whether a domain shows a sign
    coverage   MX hosts under the policy's patterns
    mail       MX hosts whatever the policy says         dane     TLSA over the MX hosts
    context    all of these, read once                   outcome  the two headline verdicts
    quiet      domains that show nothing, judged once for all that are silent in the same way
    assess     evidence -> ``Assessment``                         (the way in)

Findings, each a rule with its condition, sentence and fix::

    rule, rules         the shape of a rule; the table of all of them, and its version
    record_rules        the _mta-sts record            policy_host_rules   mta-sts, its addresses
    fetch_rules         TCP, TLS, HTTP                 policy_rules        the policy file
    coverage_rules      patterns against MX hosts      mail_rules          the MX hosts
    beside_rules        TLSRPT, DANE
    relation            why a pattern may have missed  chain_problems      words that share a finding
"""
