-- question: Do popular domains adopt MTA-STS more often?
-- grain: scan, decade of the rank in the list
-- denominator: domains of the decade whose _mta-sts answer was measured; left_out
--   counts the others
-- section: RFC 8461 §3.1; the 2025 study's popularity plot
-- by: rank
with counted as (
    select
        scan_id, stratum,
        count(*) filter (adopter) as n,
        count(*) filter (record_outcome <> 'unmeasured') as of_n,
        count(*) filter (record_outcome = 'unmeasured') as left_out
    from subjects
    group by all
)
select scan_id, stratum, n, of_n, unnest(wilson(n, of_n)), left_out
from counted
order by scan_id, stratum
