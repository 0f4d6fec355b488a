-- question: With which HTTP status do policy hosts answer?
-- grain: scan, stratum, HTTP status
-- denominator: adopters whose policy host answered over HTTPS, whatever its certificate; left_out
--   counts the others
-- section: RFC 8461 §3.3; RFC 9110 §15
-- by: scan, tld, rank, mx-operator, policy-host
with classed as (
    select scan_id, stratum, http_status, count(*) as n
    from (from subjects where adopter)
    left join policy_answers using (scan_id, domain)
    group by all
),
counted as (
    select
        *,
        sum(n) filter (http_status is not null) over placed as of_n,
        coalesce(sum(n) filter (http_status is null) over placed, 0) as left_out
    from classed
    window placed as (partition by scan_id, stratum)
)
select
    scan_id, stratum, http_status, n, of_n::bigint as of_n,
    unnest(wilson(n, of_n)), left_out::bigint as left_out
from counted
where http_status is not null
order by scan_id, stratum, n desc, http_status
