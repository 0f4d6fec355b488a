-- question: Where vantages disagree, what does each see that the others do not?
-- grain: scan (the newest of its campaign), fact, vantage, sees, others (what the others see; an id, a
--   hash or a list of names is only said to be the same as another's or not); the targets one by one
--   are the view vantage_differences
-- denominator: domains or hosts of which the vantages do not see the same and that this one measured
-- section: RFC 8461 §3, §4; vantages of scans of the same list, scope and rules within a week
-- by: scan
with seen as (
    select
        campaign, fact, target, vantage,
        coalesce(word, if(holders = 1, 'its own', 'the same as some')) as sees,
        if(word is null, 'another', array_to_string(
            list_sort(list_distinct(list_filter(
                list(word) over (partition by campaign, fact, target), lambda other: other <> word
            ))),
            ' or '
        )) as others
    from vantage_differences
),
counted as (
    select campaign, fact, vantage, sees, others, count(*) as n
    from seen
    group by all
)
select
    campaign as scan_id, fact, vantage, sees, others, n, of_n, unnest(wilson(n, of_n)),
    0 as left_out
from (
    select *, sum(n) over (partition by campaign, fact, vantage)::bigint as of_n from counted
)
order by campaign, fact_place(fact), vantage, n desc, sees, others
