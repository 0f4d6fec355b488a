-- question: How do domains move between the phases from one scan to the next?
-- grain: scan, stratum, before (phase in the last scan before that lists the domain), after
-- denominator: domains on both lists that were in that phase before; those that had not adopted yet are
--   in churn
-- section: RFC 8461 §5, §8.3
-- by: scan, tld, rank, mx-operator
with moves as (
    select
        scan_id, domain, phase as after, lag(phase) over history as before
    from histories
    window history as (partition by domain order by place)
),
counted as (
    select scan_id, stratum, before, after, count(*) as n
    from subjects
    join moves using (scan_id, domain)
    where before <> 'not yet' and after <> 'not yet'
    group by all
)
select
    scan_id, stratum, before, after, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from (select *, sum(n) over (partition by scan_id, stratum, before)::bigint as of_n from counted)
order by
    scan_id, stratum,
    list_position(['enforce', 'testing', 'off', 'broken', 'removed', 'unmeasured'], before),
    n desc, after
