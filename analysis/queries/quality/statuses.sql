-- question: How did the probes end, word for word?
-- grain: scan, probe, status
-- denominator: attempts of the probe, every one of them a row, without those carried over from an
--   earlier scan
-- section: IANA DNS RCODEs; zdns and zgrab2 status words
-- by: scan
with attempts as (
    select scan_id, 'TXT lookups' as probe, 1 as place, status from txt_lookups
    union all
    select scan_id, 'MX lookups', 2, status from mx_lookups
    union all
    select scan_id, 'address lookups', 3, status from address_lookups
    union all
    select scan_id, 'TLSA lookups', 4, status from tlsa_lookups
    union all
    select scan_id, 'policy fetches', 5, status from policy_fetches where carried_from is null
    union all
    select scan_id, 'SMTP sessions', 6, status from starttls_sessions where carried_from is null
),
classed as (
    select scan_id, probe, place, status, count(*) as n
    from attempts
    group by all
)
select
    scan_id, probe, status, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from (select *, sum(n) over (partition by scan_id, probe)::bigint as of_n from classed)
order by scan_id, place, n desc, status
