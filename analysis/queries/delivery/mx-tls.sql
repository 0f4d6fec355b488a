-- question: How far do the MX hosts of adopters get towards verified TLS?
-- grain: scan, mail outcome of the MX host: that of its address that got furthest
-- denominator: distinct MX hosts of adopters; unmeasured is a class of its own and includes the
--   hosts that have no address or lie beyond the scan's limit of hosts per domain
-- section: RFC 8461 §4.2; RFC 3207
-- by: scan
with hosts as (
    select distinct scan_id, host from adopter_mx_hosts
),
outcomes as (
    select
        scan_id, host,
        coalesce(
            arg_max(outcome, list_position([
                'unmeasured', 'no-starttls', 'starttls-refused', 'handshake-failed', 'tls-old',
                'certificate', 'pass'], outcome)),
            'unmeasured'
        ) as mail_outcome
    from hosts
    left join mail_verdicts using (scan_id, host)
    group by all
),
classed as (
    select scan_id, mail_outcome, count(*) as n
    from outcomes
    group by all
)
select
    scan_id, mail_outcome, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from (select *, sum(n) over (partition by scan_id)::bigint as of_n from classed)
order by scan_id, n desc, mail_outcome
