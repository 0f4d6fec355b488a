-- question: How much could not be measured?
-- grain: scan, stratum, fact
-- denominator: domains of the list for the records and DANE, adopters for the rest; left_out counts
--   the domains for which the fact is out of the scan's scope
-- section: RFC 8461, RFC 8460, RFC 7672; what the other shares leave open
-- by: scan, tld, rank, mx-operator
with counted as (
    select
        scan_id, stratum,
        count(*) as listed,
        count(*) filter (adopter) as adopters,
        count(*) filter (dane_outcome is null) as dane_out_of_scope,
        count(*) filter (record_outcome = 'unmeasured') as record,
        count(*) filter (tlsrpt_outcome = 'unmeasured') as tlsrpt,
        count(*) filter (dane_outcome = 'unmeasured') as dane,
        count(*) filter (adopter and policy_outcome = 'unmeasured') as policy,
        count(*) filter (adopter and mx_total is null) as mx,
        count(*) filter (adopter and list_contains(findings, 'mx-unknown')) as mx_host,
        count(*) filter (adopter and sender_outcome = 'unmeasured') as sender
    from subjects
    group by all
),
facts as (
    select
        scan_id, stratum,
        unnest([
            {place: 1, fact: 'MTA-STS record', n: record, of_n: listed, left_out: 0},
            {place: 2, fact: 'TLSRPT record', n: tlsrpt, of_n: listed, left_out: 0},
            {place: 3, fact: 'DANE', n: dane, of_n: listed - dane_out_of_scope, left_out: dane_out_of_scope},
            {place: 4, fact: 'policy', n: policy, of_n: adopters, left_out: 0},
            {place: 5, fact: 'MX answer', n: mx, of_n: adopters, left_out: 0},
            {place: 6, fact: 'some MX host', n: mx_host, of_n: adopters, left_out: 0},
            {place: 7, fact: 'what a sender does', n: sender, of_n: adopters, left_out: 0}
        ], recursive := true)
    from counted
)
select scan_id, stratum, fact, n, of_n, unnest(wilson(n, of_n)), left_out
from facts
order by scan_id, stratum, place
