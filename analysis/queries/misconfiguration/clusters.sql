-- question: Which clusters of domains move the headline, and by how much?
-- grain: scan, shared, cluster of ten domains or more; headline is the share of all adopters that is
--   misconfigured, without is that share when the cluster is taken away, and moves their difference;
--   those that move it most first.  example is one of the domains
-- denominator: the adopters in the cluster; n are those that are misconfigured
-- section: RFC 8461 §3, §4; the 2025 study's clusters
-- by: scan
with totals as (
    select
        scan_id, count(*) as adopters, count(*) filter (misconfigured) as misconfigured
    from subjects
    where adopter
    group by all
),
counted as (
    select
        scan_id, shared, cluster, min(domain) as example,
        count(*) as of_n, count(*) filter (misconfigured) as n
    from cluster_members
    join adopters using (scan_id, domain)
    group by all
    having count(*) >= cluster_from()
),
compared as (
    select
        c.*,
        t.misconfigured / t.adopters::double as headline,
        case
            when t.adopters > c.of_n
                then (t.misconfigured - c.n) / (t.adopters - c.of_n)::double
        end as without
    from counted c
    join totals t using (scan_id)
)
select
    scan_id, shared, cluster, example, headline, without, headline - without as moves,
    n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from compared
order by scan_id, abs(moves) desc nulls last, of_n desc, shared, cluster
