-- question: What became of the faults of the scan before?
-- grain: scan, stratum, fault, fate: repaired; still there; given up, with the domain's record; or not
--   seen, because something was not measured or an earlier stage failed
-- denominator: domains that had the fault in the last scan before that lists them
-- section: RFC 8461 §3, §4; the 2025 study's notification, after which 10 % repaired
-- by: scan, tld, rank, mx-operator, policy-host
with told as (
    select
        scan_id, domain, fault, status, adopter,
        lag(status) over (partition by domain, fault order by nth) as before
    from fault_states
    where fault <> 'testing'
),
counted as (
    select
        scan_id, stratum, fault,
        case
            when status = 'in' then 'still there'
            when status = 'open' then 'not seen'
            when t.adopter then 'repaired'
            else 'given up'
        end as fate,
        count(*) as n
    from subjects
    join (from told where before = 'in') t using (scan_id, domain)
    group by all
)
select scan_id, stratum, fault, fate, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from (select *, sum(n) over (partition by scan_id, stratum, fault)::bigint as of_n from counted)
order by
    scan_id, stratum,
    list_position([
        'record', 'policy: dns', 'policy: tcp', 'policy: tls', 'policy: http', 'policy: syntax',
        'certificate', 'pattern'
    ], fault),
    n desc, fate
