-- question: How many domains did each finding come to, stay with and leave, and why?
-- grain: finding of either scan, the gravest first; n is the number of domains that had it in either
-- denominator: none; every column is a count of domains, and they add up to n
-- needs: change_findings, $old, $new
with counted as (
    select
        finding,
        count(*) as n,
        count(*) filter (change = 'appeared') as appeared,
        count(*) filter (change = 'fixed') as fixed,
        count(*) filter (change = 'removed') as removed,
        count(*) filter (change = 'stays') as stays,
        count(*) filter (change = 'unknown') as unknown,
        count(*) filter (change = 'listed') as listed,
        count(*) filter (change = 'unlisted') as unlisted
    from change_findings
    group by finding
),
described as (
    select
        id,
        arg_max(severity, scan_id = $new) as severity,
        arg_max(sentence, scan_id = $new) as sentence
    from findings_catalogue
    where scan_id in ($old, $new)
    group by id
)
select
    finding, d.severity, appeared, fixed, removed, stays, unknown, listed, unlisted, n, d.sentence
from counted
left join described d on d.id = counted.finding
order by severity_weight(d.severity), appeared + fixed desc, finding
