-- question: What was found about these domains?
-- grain: domain, finding; nth is its place in the order of the rules
-- needs: customer_targets, $scan
with told as (
    select domain, unnest(findings) as id, generate_subscripts(findings, 1) as nth
    from assessments
    semi join customer_targets using (domain)
    where scan_id = $scan
)
select t.domain, t.id, t.nth, c.severity, p.place
from told t
left join findings_catalogue c on c.scan_id = $scan and c.id = t.id
left join reference_finding_places p on p.finding = t.id
