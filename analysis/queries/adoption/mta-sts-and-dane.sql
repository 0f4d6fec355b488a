-- question: How do MTA-STS and DANE go together, and where do they contradict each other?
-- grain: scan, stratum, sender outcome, DANE outcome, and what the two make together
-- denominator: domains, adopters or not, whose record was measured and whose MX hosts the scan
--   looked up; left_out counts all others
-- section: RFC 8461 §2, §5; RFC 7672 §2.2
-- by: scan, tld, rank, mx-operator

-- together, first match:
--   MTA-STS passes, DANE refuses  an MX host passes under the policy and fails its own TLSA records
--   DANE passes, MTA-STS refuses  every MX host fails under the policy, be it tested or enforced,
--                                 while TLSA records match
--   not measured                  what a sender does, or DANE, is not known
--   both protect                  an enforced policy lets mail pass, and TLSA records match
--   MTA-STS alone, DANE alone     only one of these
--   neither protects              the rest: a policy in testing without DANE is here
with classed as (
    select
        scan_id, stratum, sender_outcome, dane_outcome,
        case
            when dane_outcome is null or record_outcome = 'unmeasured' then null
            when list_contains(findings, 'dane-conflict') then 'MTA-STS passes, DANE refuses'
            when mode <> 'none' and mx_total > 0 and mx_failing = mx_total
                and dane_outcome in ('match', 'partial') then 'DANE passes, MTA-STS refuses'
            when 'unmeasured' in (sender_outcome, dane_outcome) then 'not measured'
            when sender_outcome in ('protected', 'degraded')
                then if(dane_outcome in ('match', 'partial'), 'both protect', 'MTA-STS alone')
            when dane_outcome in ('match', 'partial') then 'DANE alone'
            else 'neither protects'
        end as together,
        count(*) as n
    from subjects
    group by all
),
counted as (
    select
        *,
        sum(n) filter (together is not null) over placed as of_n,
        coalesce(sum(n) filter (together is null) over placed, 0) as left_out
    from classed
    window placed as (partition by scan_id, stratum)
)
select
    scan_id, stratum, together, sender_outcome, dane_outcome, n, of_n::bigint as of_n,
    unnest(wilson(n, of_n)), left_out::bigint as left_out
from counted
where together is not null
order by scan_id, stratum, n desc, together, sender_outcome, dane_outcome
