-- question: What do the answers at _mta-sts amount to?
-- grain: scan, stratum, record outcome
-- denominator: domains of the list; unmeasured is a class of its own
-- section: RFC 8461 §3.1
-- by: scan, tld, rank, mx-operator
with classed as (
    select scan_id, stratum, record_outcome, count(*) as n
    from subjects
    group by all
),
counted as (
    select *, sum(n) over (partition by scan_id, stratum)::bigint as of_n
    from classed
)
select scan_id, stratum, record_outcome, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from counted
order by scan_id, stratum, n desc, record_outcome
