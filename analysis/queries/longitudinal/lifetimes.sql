-- question: How long do faults last, and mode testing?
-- grain: scan (the newest of the archive), fault, step: so many scans after it was first seen; days is
--   the median time that those steps took.  n ended at that step, and surviving is the Kaplan-Meier
--   estimate of the share that lasts longer
-- denominator: faults whose beginning the archive shows and that were still watched at that step;
--   left_out counts those of the kind that were there in the domain's first scan
-- section: Kaplan and Meier 1958; RFC 8461 §3, §4
-- by: scan
with runs as materialized (
    from fault_runs
),
watched as (
    select
        r.fault, s.nth - r.from_nth as step,
        r.ended and s.nth - r.from_nth = r.steps as ended_here,
        days_between(b.started_at, s.started_at) as days
    from runs r
    join histories b on b.domain = r.domain and b.nth = r.from_nth
    join histories s
        on s.domain = r.domain and s.nth > r.from_nth and s.nth <= r.from_nth + r.steps
    where r.seen_new
),
counted as (
    select
        fault, step, median(days) as days,
        count(*) filter (ended_here) as n, count(*) as of_n
    from watched
    group by all
),
unknown as (
    select fault, count(*) filter (not seen_new) as left_out from runs group by all
),
surviving as (
    select
        *,
        -- The product of the shares that got past each step, as a sum of logarithms.
        case
            when bool_or(n = of_n) over steps then 0
            else exp(sum(if(n = of_n, 0, ln(1 - n / of_n))) over steps)
        end as surviving
    from counted
    window steps as (partition by fault order by step rows unbounded preceding)
)
select
    o.scan_id, fault, step, days, surviving, n, of_n, unnest(wilson(n, of_n)), left_out
from surviving
join unknown using (fault)
cross join (select scan_id from scan_order order by place desc limit 1) o
order by
    list_position([
        'record', 'policy: dns', 'policy: tcp', 'policy: tls', 'policy: http', 'policy: syntax',
        'certificate', 'pattern', 'testing'
    ], fault),
    step
