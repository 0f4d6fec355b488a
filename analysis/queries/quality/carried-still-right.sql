-- question: How much of what was carried over would still be right?
-- grain: scan that carries over (scan --since), probe, now: what was found
-- denominator: the sample of what could have been carried over, and so had been right, that was asked
--   all the same; left_out counts what was carried over, for which the sample stands
-- section: crawler/scan/DISTRIBUTED.md, a continuous census
-- by: scan
with counted as (
    select
        scan_id, probe, if(due = 'sample', found, null) as now,
        count(*) filter (due = 'sample') as n,
        count(*) filter (carried_from is not null) as carried
    from carried_conversations
    group by all
),
totals as (
    select
        *,
        (sum(n) over placed)::bigint as of_n,
        (sum(carried) over placed)::bigint as left_out
    from counted
    window placed as (partition by scan_id, probe)
)
select scan_id, probe, now, n, of_n, unnest(wilson(n, of_n)), left_out
from totals
where now is not null
order by scan_id, probe, list_position(['right', 'wrong', 'unmeasured'], now)
