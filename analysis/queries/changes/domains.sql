-- question: What changed for each domain?
-- grain: domain whose state or findings are not the same in both scans, by name
-- needs: change_domains, change_findings
with changed as (
    select
        domain,
        list(finding order by finding) filter (change = 'appeared') as appeared,
        list(finding order by finding) filter (change = 'fixed') as fixed,
        list(finding order by finding) filter (change = 'removed') as removed,
        list(finding order by finding) filter (change = 'unknown') as unknown
    from change_findings
    where change in ('appeared', 'fixed', 'removed', 'unknown')
    group by domain
)
select
    d.domain, d.old_state, d.new_state,
    coalesce(c.appeared, []) as appeared, coalesce(c.fixed, []) as fixed,
    coalesce(c.removed, []) as removed, coalesce(c.unknown, []) as unknown
from change_domains d
left join changed c using (domain)
where d.old_state::varchar <> d.new_state::varchar or c.domain is not null
order by d.domain
