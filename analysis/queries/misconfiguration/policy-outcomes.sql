-- question: At which stage does fetching the policy fail?
-- grain: scan, stratum, policy outcome (dns, tcp, tls, http, syntax, valid, unmeasured)
-- denominator: adopters; unmeasured is a class of its own
-- section: RFC 8461 §3.3; the 2025 study's policy-server errors
-- by: scan, tld, rank, mx-operator, policy-host, policy-entity, mx-entity
with classed as (
    select scan_id, stratum, policy_outcome, count(*) as n
    from subjects
    where adopter
    group by all
),
counted as (
    select *, sum(n) over (partition by scan_id, stratum)::bigint as of_n
    from classed
)
select scan_id, stratum, policy_outcome, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from counted
order by
    scan_id, stratum,
    list_position(['valid', 'dns', 'tcp', 'tls', 'http', 'syntax', 'unmeasured'], policy_outcome)
