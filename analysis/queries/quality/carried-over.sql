-- question: How much of a scan was carried over from earlier ones, and why was the rest asked?
-- grain: scan that carries over (scan --since), probe, origin: carried over, or the reason to ask;
--   oldest_days is the age of the oldest of them when the scan began
-- denominator: policy hosts and MX hosts at an address that the scan has a row of
-- section: crawler/scan/DISTRIBUTED.md, a continuous census
-- by: scan
with told as (
    select
        scan_id, probe,
        case
            when carried_from is not null then 'carried over'
            else coalesce(due, 'skipped by our own rules')
        end as origin,
        max(days_between(c.started_at, s.started_at)) as oldest_days,
        count(*) as n
    from carried_conversations c
    join scans s using (scan_id)
    group by all
)
select
    scan_id, probe, origin, if(origin = 'carried over', oldest_days, null) as oldest_days, n, of_n,
    unnest(wilson(n, of_n)), 0 as left_out
from (select *, sum(n) over (partition by scan_id, probe)::bigint as of_n from told)
order by
    scan_id, probe,
    list_position(['carried over', 'new', 'wrong', 'changed', 'expired', 'old', 'sample'], origin),
    origin
