-- question: Which component is misconfigured: the record, the policy, a certificate or a pattern?
-- grain: scan, stratum, component, verdict; a domain may be faulty in several components
-- denominator: adopters, for every component; unmeasured and not applicable are classes of their
--   own, so the faulty share is comparable with the 2025 study and the unmeasured one bounds it
-- section: RFC 8461 §3, §4; the 2025 study's classes of misconfiguration
-- by: scan, tld, rank, mx-operator, policy-host, policy-entity, mx-entity
with judged_components as (
    select
        scan_id, stratum,
        unnest([
            {component: 'any', verdict: case
                when misconfigured then 'faulty'
                when policy_outcome = 'unmeasured' or mx_total is null
                    or list_contains(findings, 'mx-unknown') then 'unmeasured'
                else 'no fault' end},
            {component: 'record', verdict: case
                when record_outcome = 'valid' then 'no fault'
                else 'faulty' end},
            {component: 'policy', verdict: case
                when policy_outcome = 'valid' then 'no fault'
                when policy_outcome = 'unmeasured' then 'unmeasured'
                when policy_outcome = 'not-fetched' then 'not applicable'
                else 'faulty' end},
            {component: 'certificate', verdict: case
                when list_contains(findings, 'mx-cert-any') then 'faulty'
                when mx_total = 0 then 'not applicable'
                when mx_total is null or list_contains(findings, 'mx-unknown') then 'unmeasured'
                else 'no fault' end},
            {component: 'pattern', verdict: case
                when policy_outcome = 'unmeasured' then 'unmeasured'
                when policy_outcome <> 'valid' or mode = 'none' then 'not applicable'
                when mx_total is null then 'unmeasured'
                when mx_total = 0 then 'not applicable'
                when mx_covered < mx_total then 'faulty'
                else 'no fault' end}
        ], recursive := true)
    from subjects
    where adopter
),
classed as (
    select scan_id, stratum, component, verdict, count(*) as n
    from judged_components
    group by all
),
counted as (
    select *, sum(n) over (partition by scan_id, stratum, component)::bigint as of_n
    from classed
)
select scan_id, stratum, component, verdict, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from counted
order by
    scan_id, stratum,
    list_position(['any', 'record', 'policy', 'certificate', 'pattern'], component),
    n desc, verdict
