-- Which scans belong together: those of one vantage are a series in time, and those that several
-- vantages made of one list at about the same time are a campaign.

-- The scans of the vantage that made the newest one, in the order of their start.  What is said to
-- change is said of these: a difference between two vantages is none in time.
create view scan_order as
select
    scan_id, row_number() over (order by place) - 1 as place, day, started_at
from scans
where vantage = (select arg_max(vantage, place) from scans);

-- Scans of one campaign begin within so many days: one that takes weeks is not compared with the
-- next one.
create macro campaign_days() as 7;

-- One row per scan of a campaign, that is of scans of the same list, scope and rules, each from
-- another vantage; a scan that stands alone has none.  In the order of their start each scan joins the
-- campaign that is open, unless it began too late or its vantage takes part already: then it opens
-- the next one.
--   campaign  its newest scan, whose id stands for all of them
create view campaigns as
with recursive ordered as materialized (
    select
        *, row_number() over (partition by list, scope, rules_version order by place) as nth
    from scans
    where list is not null
),
joined as (
    select scan_id, list, scope, rules_version, nth, scan_id as opened_by, started_at as opened_at,
        [vantage] as vantages
    from ordered
    where nth = 1
    union all
    select
        scan_id, list, scope, rules_version, nth,
        if(joins, opened_by, scan_id),
        if(joins, opened_at, started_at),
        if(joins, list_append(vantages, vantage), [vantage])
    from (
        select
            o.*, j.opened_by, j.opened_at, j.vantages,
            not list_contains(j.vantages, o.vantage)
                and days_between(j.opened_at, o.started_at) <= campaign_days() as joins
        from joined j
        join ordered o
            on o.list = j.list and o.nth = j.nth + 1
            and o.scope is not distinct from j.scope
            and o.rules_version is not distinct from j.rules_version
    )
)
select scan_id, vantage, arg_max(scan_id, place) over (partition by opened_by) as campaign
from joined
join scans using (scan_id)
qualify count(*) over (partition by opened_by) > 1;
