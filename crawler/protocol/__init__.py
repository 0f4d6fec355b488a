"""The standards, sans-IO: bytes and values in, values out.

Nothing here opens a socket, reads a clock or keeps what it was told from one call to the next,
and nothing here is a verdict about a domain: that is ``crawler.assessment``.  What a peer gets
wrong is a value with a word for it; only our own misuse raises.  One module, one question:

    names         Is this a DNS name, and which names are asked about it?   RFC 1035, 1123, 5890
    txt_record    Which TXT string is the record, and what are its fields?  RFC 8461, 8460
    sts_record    What does the _mta-sts record say?                        RFC 8461 section 3.1
    sts_policy    Is this body, or this response, a policy?                 RFC 8461 3.2, 3.3
    mx            Which MX hosts does a domain name?                        RFC 5321, 7505
    mx_match      Does this mx pattern cover this MX host?                  RFC 8461 section 4.1
    tlsrpt        What does the _smtp._tls record say?                      RFC 8460 section 3

    dns_wire      How does a question become octets, and an answer values?  RFC 1035, 6891
    dns_unusual   The same, for answers that are out of the common.         RFC 1035, 3597
    dns_message   What does an answer, read by either of them, amount to?   RFC 2308, 1034
    smtp          What may be said next, between greeting and STARTTLS?     RFC 5321, 3207

    certificate   What does a certificate say, and which names does it bear?  RFC 5280, 6125
    der           Which octets of it say so?                                RFC 5280 section 4.1
    path          Is there a path from a chain to the trust anchors?        RFC 5280 section 6
    chain         Does a chain pass for a name, and if not, why?            RFC 8461 3.3, 4.2
    tlsa          Do these TLSA records vouch for this chain?               RFC 6698, 7671, 7672
"""
