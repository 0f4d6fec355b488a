-- question: What does a sender do that honours MTA-STS and has never seen the domain before?
-- grain: scan, stratum, sender outcome
-- denominator: adopters; unmeasured is a class of its own
-- section: RFC 8461 §5
-- by: scan, tld, rank, mx-operator, policy-host, policy-entity, mx-entity
with classed as (
    select scan_id, stratum, sender_outcome, count(*) as n
    from subjects
    where adopter
    group by all
),
counted as (
    select *, sum(n) over (partition by scan_id, stratum)::bigint as of_n
    from classed
)
select scan_id, stratum, sender_outcome, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from counted
order by scan_id, stratum, n desc, sender_outcome
