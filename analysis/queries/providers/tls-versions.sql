-- question: Which version of TLS do policy hosts and MX hosts agree on?
-- grain: scan, endpoint (policy host or MX host), version of TLS
-- denominator: hosts of adopters with whom a handshake succeeded; left_out counts those that were
--   spoken to without one
-- section: RFC 8461 §7.2; RFC 8996
-- by: scan
with classed as (
    select scan_id, endpoint, tls_version, count(*) as n
    from endpoints
    group by all
),
counted as (
    select
        *,
        sum(n) filter (tls_version is not null) over placed as of_n,
        coalesce(sum(n) filter (tls_version is null) over placed, 0) as left_out
    from classed
    window placed as (partition by scan_id, endpoint)
)
select
    scan_id, endpoint, tls_version, n, of_n::bigint as of_n,
    unnest(wilson(n, of_n)), left_out::bigint as left_out
from counted
where tls_version is not null
order by scan_id, endpoint desc, tls_version desc
