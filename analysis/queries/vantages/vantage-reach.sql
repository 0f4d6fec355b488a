-- question: How many of the hosts that answer somebody answer each vantage?
-- grain: scan (the newest of its campaign), probe (policy host, MX host), vantage, or "any of them"
-- denominator: for one vantage the hosts that it tried and that answered some vantage; for any of them
--   the hosts that some vantage tried; left_out counts those that the vantage did not try
-- section: a connection stood; a policy or greeting may still be refused
-- by: scan
with hosts as (
    select campaign, probe, host, bool_or(reached) as reached from vantage_reach group by all
),
counted as (
    select
        c.campaign, h.probe, c.vantage,
        count(*) filter (v.reached) as n,
        count(*) filter (v.host is not null) as of_n,
        count(*) filter (v.host is null) as left_out
    from campaigns c
    join hosts h on h.campaign = c.campaign and h.reached
    left join vantage_reach v
        on v.campaign = c.campaign and v.vantage = c.vantage and v.probe = h.probe
        and v.host = h.host
    group by all
    union all
    select campaign, probe, 'any of them', count(*) filter (reached), count(*), 0
    from hosts
    group by all
)
select campaign as scan_id, probe, vantage, n, of_n, unnest(wilson(n, of_n)), left_out
from counted
order by campaign, probe desc, vantage = 'any of them', vantage
