-- question: How many domains publish MTA-STS, how many are right, and what does a sender do?
-- grain: scan, stratum, measure; at_least and at_most are the share if of all that could not be measured
--   nothing, or everything, fell to this measure
-- denominator: named in of_what, row by row; at_least and at_most are shares of of_n and left_out together
-- section: RFC 8461; the 2025 study's headline; Manski 2003 §1
-- by: scan, tld, rank, mx-operator, policy-host
with counted as (
    select
        scan_id, stratum,
        count(*) as listed,
        count(*) filter (record_outcome <> 'unmeasured') as measured,
        count(*) filter (adopter) as adopters,
        count(*) filter (record_outcome = 'valid') as valid_records,
        count(*) filter (adopter and policy_outcome = 'valid') as valid_policies,
        count(*) filter (adopter and policy_outcome = 'unmeasured') as policy_open,
        count(*) filter (adopter and mode = 'enforce') as enforcing,
        count(*) filter (adopter and mode = 'testing') as testing,
        count(*) filter (health = 'right') as healthy,
        count(*) filter (health = 'right' and mail_open(mx_total, findings)) as healthy_doubtful,
        count(*) filter (health = 'misconfigured') as misconfigured,
        count(*) filter (
            health <> 'misconfigured' and (policy_outcome = 'unmeasured' or mail_open(mx_total, findings))
        ) as misconfigured_open,
        count(*) filter (health = 'refusing') as refusing,
        count(*) filter (health = 'refusing' and mail_open(mx_total, findings)) as refusing_doubtful,
        count(*) filter (health = 'unmeasured') as not_measured,
        count(*) filter (adopter and sender_outcome = 'protected') as protected,
        count(*) filter (adopter and sender_outcome = 'protected' and mx_unmeasured > 0) as protected_doubtful,
        count(*) filter (adopter and sender_outcome = 'degraded') as degraded,
        count(*) filter (adopter and sender_outcome = 'refused') as refused,
        count(*) filter (adopter and sender_outcome = 'fail-open') as fail_open,
        count(*) filter (
            adopter and sender_outcome = 'unmeasured' and policy_outcome = 'unmeasured'
        ) as fail_open_open,
        count(*) filter (adopter and sender_outcome = 'unmeasured') as sender_unmeasured
    from subjects
    group by all
),
-- doubtful are counted in n and might belong elsewhere, open are not and might belong here
measures as (
    select
        scan_id, stratum,
        unnest([
            {place: 1, measure: 'measured', n: measured, doubtful: 0, open: 0,
                of_n: listed, of_what: 'domains on the list', left_out: 0},
            {place: 2, measure: 'adopted', n: adopters, doubtful: 0, open: listed - measured,
                of_n: measured, of_what: 'domains measured', left_out: listed - measured},
            {place: 3, measure: 'valid record', n: valid_records, doubtful: 0, open: 0,
                of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 4, measure: 'valid policy', n: valid_policies, doubtful: 0, open: policy_open,
                of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 5, measure: 'enforcing', n: enforcing, doubtful: 0, open: policy_open,
                of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 6, measure: 'testing', n: testing, doubtful: 0, open: policy_open,
                of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 7, measure: 'right', n: healthy, doubtful: healthy_doubtful, open: not_measured,
                of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 8, measure: 'misconfigured', n: misconfigured, doubtful: 0, open: misconfigured_open,
                of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 9, measure: 'failing MX host', n: refusing, doubtful: refusing_doubtful,
                open: not_measured, of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 10, measure: 'not fully measured', n: not_measured, doubtful: 0, open: 0,
                of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 11, measure: 'protected', n: protected, doubtful: protected_doubtful,
                open: sender_unmeasured, of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 12, measure: 'degraded', n: degraded, doubtful: 0,
                open: sender_unmeasured + protected_doubtful,
                of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 13, measure: 'refused', n: refused, doubtful: 0, open: sender_unmeasured,
                of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 14, measure: 'fail-open', n: fail_open, doubtful: 0, open: fail_open_open,
                of_n: adopters, of_what: 'adopters', left_out: 0},
            {place: 15, measure: 'sender unmeasured', n: sender_unmeasured, doubtful: 0, open: 0,
                of_n: adopters, of_what: 'adopters', left_out: 0}
        ], recursive := true)
    from counted
)
select
    scan_id, stratum, measure, of_what,
    if(of_n + left_out > 0, (n - doubtful) / (of_n + left_out)::double, null) as at_least,
    if(of_n + left_out > 0, (n + open) / (of_n + left_out)::double, null) as at_most,
    n, of_n, unnest(wilson(n, of_n)), left_out
from measures
order by scan_id, stratum, place
