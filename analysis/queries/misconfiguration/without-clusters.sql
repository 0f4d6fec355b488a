-- question: What would the headline be without the domains that share too much with others?
-- grain: scan, stratum, shared (policy body, policy address, alias target, MX operator), larger_than:
--   domains in a cluster of more than so many are left out; the row without either is the headline
-- denominator: adopters in no cluster larger than that; left_out counts the others.  n are those
--   that are misconfigured
-- section: RFC 8461 §3, §4; the 2025 study's headline and the registrar that moved it
-- by: scan, tld, rank
with sized as (
    select s.scan_id, s.stratum, s.misconfigured, c.shared, c.size, count(*) as domains
    from subjects s
    join cluster_sizes c using (scan_id, domain)
    where s.adopter
    group by all
),
totals as (
    select
        scan_id, stratum, count(*) as adopters, count(*) filter (misconfigured) as misconfigured
    from subjects
    where adopter
    group by all
),
kinds as (
    select *
    from (values (1, 'policy body'), (2, 'policy address'), (3, 'alias target'), (4, 'MX operator'))
        k (place, shared)
    cross join (values (10), (50), (100), (500), (1000), (5000)) t (larger_than)
),
large as (
    select
        scan_id, stratum, k.shared, larger_than,
        sum(domains) as domains, coalesce(sum(domains) filter (misconfigured), 0) as misconfigured
    from sized s
    join kinds k on k.shared = s.shared and s.size > larger_than
    group by all
),
counted as (
    select
        scan_id, stratum, 0 as place, null as shared, null as larger_than, misconfigured as n,
        adopters as of_n, 0 as left_out
    from totals
    union all
    select
        t.scan_id, t.stratum, k.place, k.shared, k.larger_than,
        (t.misconfigured - coalesce(l.misconfigured, 0))::bigint,
        (t.adopters - coalesce(l.domains, 0))::bigint,
        coalesce(l.domains, 0)::bigint
    from totals t
    cross join kinds k
    left join large l using (scan_id, stratum, shared, larger_than)
)
select scan_id, stratum, shared, larger_than, n, of_n, unnest(wilson(n, of_n)), left_out
from counted
order by scan_id, stratum, place, larger_than
