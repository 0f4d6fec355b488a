-- question: How many patterns that miss an MX host today fitted an MX host that the domain used to have?
-- grain: scan, stratum, looking_back_to (an earlier scan): an MX host that is gone now, and that a
--   pattern of today's policy covers, was seen in that scan or in a later one
-- denominator: adopters of the scan whose policy, in mode testing or enforce, leaves out an MX host
-- section: RFC 8461 §4.1; the 2025 study's stale policies
-- by: scan, tld, rank, mx-operator, policy-host
with mismatched as (
    select s.scan_id, s.stratum, s.domain, s.policy_mx, o.place
    from subjects s
    join scan_order o using (scan_id)
    where adopter and policy_outcome = 'valid' and mode in ('testing', 'enforce')
        and mx_covered < mx_total
),
answers as (
    select o.place, m.domain, m.null_mx, m.implicit_mx,
        if(m.implicit_mx, [m.domain], [mx.host for mx in m.hosts]) as hosts
    from mx_lookups m
    join scan_order o using (scan_id)
    semi join mismatched using (domain)
    where not m.null_mx and (m.implicit_mx or len(m.hosts) > 0)
),
explained as (
    select m.scan_id, m.domain, max(old.place) as last_seen
    from mismatched m
    join answers now on now.domain = m.domain and now.place = m.place
    join answers old on old.domain = m.domain and old.place < m.place
    where len(list_filter(old.hosts, lambda host:
        not list_contains(now.hosts, host)
        and len(list_filter(m.policy_mx, lambda pattern: covers(pattern, host))) > 0)) > 0
    group by all
),
counted as (
    select
        m.scan_id, m.stratum, o.place, o.scan_id as looking_back_to,
        count(*) as of_n, count(*) filter (e.last_seen >= o.place) as n
    from mismatched m
    left join explained e on e.scan_id = m.scan_id and e.domain = m.domain
    join scan_order o on o.place < m.place
    group by all
)
select scan_id, stratum, looking_back_to, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from counted
order by scan_id, stratum, place desc
