-- question: Do the policy's mx patterns cover the MX hosts of the domain?
-- grain: scan, stratum, coverage (all, some, none, no MX host to cover, unmeasured)
-- denominator: adopters with a valid policy in mode testing or enforce; left_out counts the
--   adopters whose policy was not measured
-- section: RFC 8461 §4.1; the 2025 study's inconsistency
-- by: scan, tld, rank, mx-operator, policy-host, policy-entity, mx-entity
with classed as (
    select
        scan_id, stratum,
        case
            when policy_outcome = 'unmeasured' then null
            when mx_total is null then 'unmeasured'
            when mx_total = 0 then 'no MX host to cover'
            when mx_covered = mx_total then 'all'
            when mx_covered > 0 then 'some'
            else 'none'
        end as coverage,
        count(*) as n
    from subjects
    where adopter
        and (policy_outcome = 'unmeasured'
            or (policy_outcome = 'valid' and mode in ('testing', 'enforce')))
    group by all
),
counted as (
    select
        *,
        sum(n) filter (coverage is not null) over placed as of_n,
        coalesce(sum(n) filter (coverage is null) over placed, 0) as left_out
    from classed
    window placed as (partition by scan_id, stratum)
)
select
    scan_id, stratum, coverage, n, of_n::bigint as of_n,
    unnest(wilson(n, of_n)), left_out::bigint as left_out
from counted
where coverage is not null
order by
    scan_id, stratum,
    list_position(['all', 'some', 'none', 'no MX host to cover', 'unmeasured'], coverage)
