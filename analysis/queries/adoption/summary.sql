-- question: How many domains publish MTA-STS, how many are right, and what does a sender do?
-- grain: scan, stratum, measure
-- denominator: named in of_what, row by row
-- section: RFC 8461; the 2025 study's headline
-- by: scan, tld, rank, mx-operator, policy-host
with counted as (
    select
        scan_id, stratum,
        count(*) as listed,
        count(*) filter (record_outcome <> 'unmeasured') as measured,
        count(*) filter (adopter) as adopters,
        count(*) filter (record_outcome = 'valid') as valid_records,
        count(*) filter (adopter and policy_outcome = 'valid') as valid_policies,
        count(*) filter (adopter and mode = 'enforce') as enforcing,
        count(*) filter (adopter and mode = 'testing') as testing,
        count(*) filter (health = 'right') as healthy,
        count(*) filter (health = 'misconfigured') as misconfigured,
        count(*) filter (health = 'refusing') as refusing,
        count(*) filter (health = 'unmeasured') as not_measured,
        count(*) filter (adopter and sender_outcome = 'protected') as protected,
        count(*) filter (adopter and sender_outcome = 'degraded') as degraded,
        count(*) filter (adopter and sender_outcome = 'refused') as refused,
        count(*) filter (adopter and sender_outcome = 'fail-open') as fail_open,
        count(*) filter (adopter and sender_outcome = 'unmeasured') as sender_unmeasured
    from subjects
    group by all
),
measures as (
    select
        scan_id, stratum,
        unnest([
            {place: 1, measure: 'measured', n: measured, of_n: listed, of_what: 'domains on the list', left_out: 0},
            {place: 2, measure: 'adopted', n: adopters, of_n: measured, of_what: 'domains measured', left_out: listed - measured},
            {place: 3, measure: 'valid record', n: valid_records, of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 4, measure: 'valid policy', n: valid_policies, of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 5, measure: 'enforcing', n: enforcing, of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 6, measure: 'testing', n: testing, of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 7, measure: 'right', n: healthy, of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 8, measure: 'misconfigured', n: misconfigured, of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 9, measure: 'failing MX host', n: refusing, of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 10, measure: 'not fully measured', n: not_measured, of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 11, measure: 'protected', n: protected, of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 12, measure: 'degraded', n: degraded, of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 13, measure: 'refused', n: refused, of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 14, measure: 'fail-open', n: fail_open, of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 15, measure: 'sender unmeasured', n: sender_unmeasured, of_n: adopters, of_what: 'adopters', left_out: 0}
        ], recursive := true)
    from counted
)
select scan_id, stratum, measure, of_what, n, of_n, unnest(wilson(n, of_n)), left_out
from measures
order by scan_id, stratum, place
