-- question: For how long may senders keep the policy?
-- grain: scan, stratum, mode, age band of max_age
-- denominator: adopters with a valid policy in that mode; left_out counts the adopters whose policy
--   was not measured, so that their mode is not known either
-- section: RFC 8461 §3.2
-- by: scan, tld, rank, mx-operator, policy-host
with classed as (
    select scan_id, stratum, mode, age_band(max_age) as age_band, count(*) as n
    from subjects
    where adopter and policy_outcome in ('valid', 'unmeasured')
    group by all
),
counted as (
    select
        *,
        sum(n) over (partition by scan_id, stratum, mode)::bigint as of_n,
        coalesce(sum(n) filter (mode is null) over (partition by scan_id, stratum), 0)::bigint as left_out
    from classed
)
select scan_id, stratum, mode, age_band, n, of_n, unnest(wilson(n, of_n)), left_out
from counted
where mode is not null
order by scan_id, stratum, list_position(['enforce', 'testing', 'none'], mode), age_band
