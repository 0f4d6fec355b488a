-- question: What is left to see when the vantages are taken together?
-- grain: scan (the newest of its campaign), fact, vantage, or "together", outcome: together it is that
--   of the vantage that got furthest, so that what one reaches is reachable
-- denominator: domains for the record, domains with a record for the policy, and MX hosts at an
--   address, of those that the vantage asked about
-- section: RFC 8461 §3.1, §3.3, §4.2
-- by: scan
with judged_here as not materialized (
    from assessments join campaigns using (scan_id)
),
hosts_here as (
    from mail_verdicts join campaigns using (scan_id)
),
counted as (
    select campaign, 'MTA-STS record' as fact, vantage, record_outcome as outcome, count(*) as n
    from judged_here
    group by all
    union all
    select campaign, 'policy', vantage, policy_outcome, count(*)
    from judged_here
    where policy_outcome <> 'not-fetched'
    group by all
    union all
    select campaign, 'MX host', vantage, outcome, count(*)
    from hosts_here
    group by all
),
-- Each fact by itself, and by as few columns as tell its targets apart: the first has all domains.
together as (
    select campaign, 'MTA-STS record' as fact, best, count(*) as n
    from (
        select campaign, domain, min(how_far('MTA-STS record', record_outcome)) as best
        from judged_here
        group by all
    )
    group by all
    union all
    select campaign, 'policy', best, count(*)
    from (
        select campaign, domain, min(how_far('policy', policy_outcome)) as best
        from judged_here
        where policy_outcome <> 'not-fetched'
        group by all
    )
    group by all
    union all
    select campaign, 'MX host', best, count(*)
    from (
        select campaign, host, address, min(how_far('MX host', outcome)) as best
        from hosts_here
        group by all
    )
    group by all
),
outcomes as (
    from counted
    union all
    select campaign, fact, 'together', furthest(fact)[best], n
    from together
)
select
    campaign as scan_id, fact, vantage, outcome, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from (
    select *, sum(n) over (partition by campaign, fact, vantage)::bigint as of_n from outcomes
)
order by campaign, fact_place(fact), vantage = 'together', vantage,
    how_far(fact, outcome)
