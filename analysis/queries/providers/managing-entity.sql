-- question: Who manages the policy hosts and the MX hosts of the adopters: they or a third party?
-- grain: scan, stratum, endpoint (policy host or MX host), entity (self, third party, unclassified),
--   and what the class rests on
-- denominator: adopters for the policy host, adopters with a known MX host for the other; left_out
--   counts those without one
-- section: RFC 8461 §8.2; the 2025 study's rule of thumb, thresholds in macros.sql
-- by: scan, tld, rank
with population as (
    select
        scan_id, stratum, count(*) as adopters,
        unnest(['policy host', 'MX host']) as endpoint
    from subjects
    where adopter
    group by scan_id, stratum
),
classed as (
    select scan_id, stratum, endpoint, entity, basis, count(*) as n
    from (from subjects where adopter)
    join managing_entities using (scan_id, domain)
    group by all
),
counted as (
    select *, sum(n) over (partition by scan_id, stratum, endpoint)::bigint as of_n
    from classed
)
select
    scan_id, stratum, endpoint, entity, basis, n, of_n, unnest(wilson(n, of_n)),
    adopters - of_n as left_out
from counted
join population using (scan_id, stratum, endpoint)
order by scan_id, stratum, endpoint desc, n desc, entity, basis
