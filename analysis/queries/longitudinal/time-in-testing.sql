-- question: For how long have the policies in mode testing been there?
-- grain: scan, stratum, span since the first scan that saw it in mode testing without another mode since;
--   at_least: no scan before saw it without mode testing, so it may be longer
-- denominator: adopters with a valid policy in mode testing
-- section: RFC 8461 §5; what testing is meant for is RFC 8461 §8
-- by: scan, tld, rank, mx-operator, policy-host
with told as (
    select
        domain, nth, started_at, scan_id, status,
        count(*) filter (status = 'out') over history as outs
    from fault_states
    where fault = 'testing'
    window history as (partition by domain order by nth)
),
since as (
    select
        scan_id, domain, status, outs,
        first_value(if(status = 'in', started_at, null) ignore nulls) over run as from_time,
        started_at
    from told
    window run as (partition by domain, outs order by nth rows unbounded preceding)
),
counted as (
    select
        scan_id, stratum, span_band(days_between(from_time, started_at)) as span,
        outs = 0 as at_least, count(*) as n
    from subjects
    join (from since where status = 'in') using (scan_id, domain)
    group by all
)
select scan_id, stratum, span, at_least, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from (select *, sum(n) over (partition by scan_id, stratum)::bigint as of_n from counted)
order by scan_id, stratum, span, at_least
