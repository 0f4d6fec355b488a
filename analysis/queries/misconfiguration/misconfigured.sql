-- question: What share of the adopters is misconfigured?
-- grain: scan, stratum; the strata with the most adopters first
-- denominator: adopters, that is domains that publish a record, right or wrong; those that could not
--   be measured in full count as not misconfigured, and health shows how many they are
-- section: RFC 8461 §3, §4; the 2025 study's headline
-- by: scan, tld, rank, mx-operator, policy-host, policy-entity, mx-entity
with counted as (
    select
        scan_id, stratum,
        count(*) filter (misconfigured) as n,
        count(*) as of_n
    from subjects
    where adopter
    group by all
)
select scan_id, stratum, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from counted
order by scan_id, of_n desc, stratum
