-- question: How often do the vantages agree?
-- grain: scan (the newest of its campaign), fact
-- denominator: domains or hosts of which several vantages measured the fact and some saw something;
--   left_out counts those that one vantage alone measured
-- section: RFC 8461 §3, §4; vantages of scans of the same list, scope and rules within a week
-- by: scan
with counted as (
    select
        campaign, fact,
        count(*) filter (vantages > 1 and agreed) as n,
        count(*) filter (vantages > 1) as of_n,
        count(*) filter (vantages = 1) as left_out
    from vantage_targets
    group by all
)
select campaign as scan_id, fact, n, of_n, unnest(wilson(n, of_n)), left_out
from counted
order by campaign, fact_place(fact)
