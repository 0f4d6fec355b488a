-- question: Who asks senders for TLS reports: adopters of MTA-STS, and everybody else?
-- grain: scan, stratum, among (adopters or other domains), TLSRPT outcome
-- denominator: adopters, or the domains measured to have no MTA-STS record; left_out counts the
--   domains whose MTA-STS record was not measured, which belong to neither
-- section: RFC 8460 §3; the 2025 study's TLSRPT plot
-- by: scan, tld, rank, mx-operator
with classed as (
    select
        scan_id, stratum, tlsrpt_outcome,
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
        sum(n) over (partition by scan_id, stratum, among)::bigint as of_n,
        coalesce(sum(n) filter (among is null) over (partition by scan_id, stratum), 0)::bigint as left_out
    from classed
)
select scan_id, stratum, among, tlsrpt_outcome, n, of_n, unnest(wilson(n, of_n)), left_out
from counted
where among is not null
order by scan_id, stratum, among, n desc, tlsrpt_outcome
