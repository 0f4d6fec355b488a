-- question: In which mode are the valid policies?
-- grain: scan, stratum, mode
-- denominator: adopters with a valid policy; left_out counts those whose policy was not measured
-- section: RFC 8461 §3.2, §5
-- by: scan, tld, rank, mx-operator, policy-host, policy-entity, mx-entity
with classed as (
    select scan_id, stratum, mode, count(*) as n
    from subjects
    where adopter and policy_outcome in ('valid', 'unmeasured')
    group by all
),
counted as (
    select
        *,
        sum(n) filter (mode is not null) over placed as of_n,
        coalesce(sum(n) filter (mode is null) over placed, 0) as left_out
    from classed
    window placed as (partition by scan_id, stratum)
)
select
    scan_id, stratum, mode, n, of_n::bigint as of_n,
    unnest(wilson(n, of_n)), left_out::bigint as left_out
from counted
where mode is not null
order by scan_id, stratum, list_position(['enforce', 'testing', 'none'], mode)
