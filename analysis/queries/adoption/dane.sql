-- question: How many adopters, and how many other domains, have DANE as well?
-- grain: scan, stratum, among (adopters or other domains), DANE outcome
-- denominator: adopters, or domains without a record, whose MX hosts the scan looked up; left_out
--   counts those out of its scope, and the domains whose record was not measured.  Other domains
--   are in scope by a draw or because they ask for TLS reports: for all of them see estimates
-- section: RFC 7672; RFC 8461 §2
-- by: scan, tld, rank, mx-operator
with classed as (
    select
        scan_id, stratum, dane_outcome,
        case
            when adopter then 'adopters'
            when record_outcome = 'absent' then 'other domains'
        end as among,
        count(*) as n
    from subjects
    group by all
),
counted as (
    select
        *,
        sum(n) filter (dane_outcome is not null) over placed as of_n,
        coalesce(sum(n) filter (dane_outcome is null) over placed, 0)
            + coalesce(sum(n) filter (among is null) over (partition by scan_id, stratum), 0) as left_out
    from classed
    window placed as (partition by scan_id, stratum, among)
)
select
    scan_id, stratum, among, dane_outcome, n, of_n::bigint as of_n,
    unnest(wilson(n, of_n)), left_out::bigint as left_out
from counted
where among is not null and dane_outcome is not null
order by scan_id, stratum, among, n desc, dane_outcome
