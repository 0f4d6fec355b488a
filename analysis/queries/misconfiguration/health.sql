-- question: How many adopters have everything right?
-- grain: scan, stratum, health (right, misconfigured, refusing, unmeasured)
-- denominator: adopters, that is domains that publish a record, right or wrong;
--   an MX host that passes at one of its addresses is not refusing, whatever findings it has
-- section: RFC 8461; misconfigured as the 2025 study counts, refusing is what it leaves out
-- by: scan, tld, rank, mx-operator, policy-host, policy-entity, mx-entity
with classed as (
    select scan_id, stratum, health, count(*) as n
    from subjects
    where adopter
    group by all
),
counted as (
    select *, sum(n) over (partition by scan_id, stratum)::bigint as of_n
    from classed
)
select scan_id, stratum, health, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from counted
order by scan_id, stratum, n desc, health
