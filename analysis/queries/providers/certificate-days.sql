-- question: How long do the certificates of policy hosts and MX hosts still run?
-- grain: scan, endpoint (policy host or MX host), band of the days left when it was seen
-- denominator: hosts of adopters whose certificate could be read, trusted or not; left_out counts those
--   that were spoken to and showed none
-- section: RFC 8461 §3.3, §4.2; RFC 5280 §4.1.2.5
-- by: scan
with spoken_to as (
    select scan_id, endpoint, count(*) as hosts from endpoints group by all
),
classed as (
    select
        scan_id, endpoint, days_band(days_between(started_at, not_after)) as days_left,
        count(*) as n
    from endpoint_certificates
    where not_after is not null
    group by all
),
counted as (
    select *, sum(n) over (partition by scan_id, endpoint)::bigint as of_n from classed
)
select
    scan_id, endpoint, days_left, n, of_n, unnest(wilson(n, of_n)), hosts - of_n as left_out
from counted
join spoken_to using (scan_id, endpoint)
order by scan_id, endpoint desc, days_left
