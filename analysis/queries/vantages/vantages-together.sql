-- question: What is left to see when the vantages are taken together?
-- grain: scan (the newest of its campaign), fact, vantage, or "together", outcome: together it is that
--   of the vantage that got furthest, so that what one reaches is reachable
-- denominator: domains for the record, domains with a record for the policy, and MX hosts at an
--   address, of those that the vantage asked about
-- section: RFC 8461 §3.1, §3.3, §4.2
-- by: scan
with outcomes as (
    select campaign, vantage, 'MTA-STS record' as fact, domain as target, record_outcome as outcome
    from assessments join campaigns using (scan_id)
    union all
    select campaign, vantage, 'policy', domain, policy_outcome
    from assessments join campaigns using (scan_id)
    where policy_outcome <> 'not-fetched'
    union all
    select campaign, vantage, 'MX host', host || ' at ' || address, outcome
    from mail_verdicts join campaigns using (scan_id)
),
counted as (
    select campaign, fact, vantage, outcome, count(*) as n
    from outcomes
    group by all
    union all
    select campaign, fact, 'together', furthest(fact)[best], count(*)
    from (
        select campaign, fact, target, min(list_position(furthest(fact), outcome)) as best
        from outcomes
        group by all
    )
    group by all
)
select
    campaign as scan_id, fact, vantage, outcome, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from (
    select *, sum(n) over (partition by campaign, fact, vantage)::bigint as of_n from counted
)
order by campaign, fact_place(fact), vantage = 'together', vantage,
    list_position(furthest(fact), outcome)
