-- question: How well did the scan itself go: what was tried again, and what timed out?
-- grain: scan, probe, measure
-- denominator: attempts of the probe, every one of them a row, without those carried over from an
--   earlier scan
-- section: status words of zdns and zgrab2; the rounds in which a scan tries again
-- by: scan
with attempts as (
    select scan_id, 'TXT lookups' as probe, 1 as place, attempt, status, blame from txt_lookups
    union all
    select scan_id, 'MX lookups', 2, attempt, status, blame from mx_lookups
    union all
    select scan_id, 'address lookups', 3, attempt, status, blame from address_lookups
    union all
    select scan_id, 'TLSA lookups', 4, attempt, status, blame from tlsa_lookups
    union all
    select scan_id, 'policy fetches', 5, attempt, status, blame from policy_fetches
    where carried_from is null
    union all
    select scan_id, 'SMTP sessions', 6, attempt, status, blame from starttls_sessions
    where carried_from is null
),
counted as (
    select
        scan_id, probe, place,
        count(*) as of_n,
        count(*) filter (blame is null) as answered,
        count(*) filter (blame = 'target') as refused,
        count(*) filter (status in ('TIMEOUT', 'connection-timeout', 'io-timeout')) as timed_out,
        count(*) filter (attempt > 1) as tried_again,
        count(*) filter (blame in ('vantage', 'local')) as ours,
        count(*) filter (blame = 'policy') as skipped
    from attempts
    group by all
),
measures as (
    select
        scan_id, probe, place, of_n,
        unnest([
            {step: 1, measure: 'answered', n: answered},
            {step: 2, measure: 'failed by the target', n: refused},
            {step: 3, measure: 'timed out', n: timed_out},
            {step: 4, measure: 'a repeated try', n: tried_again},
            {step: 5, measure: 'failed by ourselves', n: ours},
            {step: 6, measure: 'skipped by our own rules', n: skipped}
        ], recursive := true)
    from counted
)
select scan_id, probe, measure, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from measures
order by scan_id, place, step
