-- question: How many mx patterns does a policy have, and how many of them are wildcards?
-- grain: scan, stratum, patterns (1 to 5, or 6 and more), wildcards (none, some, all)
-- denominator: adopters with a valid policy in mode testing or enforce; left_out counts the adopters
--   whose policy was not measured
-- section: RFC 8461 §3.2, §4.1
-- by: scan, tld, rank, mx-operator, policy-host
with published as (
    select
        scan_id, stratum, policy_outcome = 'valid' as known, len(policy_mx) as patterns,
        len(list_filter(policy_mx, lambda pattern: starts_with(pattern, '*.'))) as wild
    from subjects
    where adopter
        and (policy_outcome = 'unmeasured'
            or (policy_outcome = 'valid' and mode in ('testing', 'enforce')))
),
classed as (
    select
        scan_id, stratum, known,
        case
            when not known then null
            when patterns > 5 then '6 and more'
            else patterns::varchar
        end as patterns,
        case
            when not known then null
            when wild = 0 then 'none'
            when wild = patterns then 'all'
            else 'some'
        end as wildcards,
        count(*) as n
    from published
    group by all
),
counted as (
    select
        *,
        sum(n) filter (known) over placed as of_n,
        coalesce(sum(n) filter (not known) over placed, 0) as left_out
    from classed
    window placed as (partition by scan_id, stratum)
)
select
    scan_id, stratum, patterns, wildcards, n, of_n::bigint as of_n,
    unnest(wilson(n, of_n)), left_out::bigint as left_out
from counted
where known
order by scan_id, stratum, patterns, list_position(['none', 'some', 'all'], wildcards)
