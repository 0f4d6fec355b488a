-- question: How does each of these domains fare, in one word?
-- grain: domain of the list, those that the scan does not have included
-- note: broken as in views/6-verdicts.sql, else the word of the gravest finding; without one, fine,
--   or absent when there is no record
-- needs: customer_targets, customer_findings, $scan
with worst as (
    select domain, min(severity_weight(severity)) as weight
    from customer_findings
    group by domain
)
select
    t.domain, t.place, t.listed, worst.weight,
    (case
        when a.domain is null then 'not-in-scan'
        when weight <= 2 or breaks_delivery(a.sender_outcome) then 'broken'
        when weight = 3 then 'warning'
        when weight = 4 or a.sender_outcome = 'unmeasured' then 'unmeasured'
        when a.sender_outcome = 'absent' then 'absent'
        else 'fine'
    end)::customer_verdict as verdict,
    a.sender_outcome, a.mode, a.max_age, a.policy_mx, a.mx_total, a.mx_covered
from customer_targets t
left join (from assessments where scan_id = $scan) a using (domain)
left join worst using (domain)
