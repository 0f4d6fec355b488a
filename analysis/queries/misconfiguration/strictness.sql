-- question: Does it matter whether a policy is read by the letter or leniently?
-- grain: scan, stratum, strictness (valid, lenient only, neither)
-- denominator: adopters whose policy file was received with status 200 and judged; left_out counts
--   the adopters of whom no file was judged
-- section: RFC 8461 §3.2
-- by: scan, tld, rank, mx-operator, policy-host
with classed as (
    select
        scan_id, stratum,
        case
            when policy_lenient is null then null
            when policy_outcome = 'syntax' and policy_lenient then 'lenient only'
            when policy_outcome = 'syntax' then 'neither'
            when policy_outcome = 'valid' then 'valid'
        end as strictness,
        count(*) as n
    from subjects
    where adopter
    group by all
),
counted as (
    select
        *,
        sum(n) filter (strictness is not null) over placed as of_n,
        coalesce(sum(n) filter (strictness is null) over placed, 0) as left_out
    from classed
    window placed as (partition by scan_id, stratum)
)
select
    scan_id, stratum, strictness, n, of_n::bigint as of_n,
    unnest(wilson(n, of_n)), left_out::bigint as left_out
from counted
where strictness is not null
order by scan_id, stratum, n desc, strictness
