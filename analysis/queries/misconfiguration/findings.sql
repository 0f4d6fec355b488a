-- question: What exactly is wrong, and what should its owner change?
-- grain: scan, stratum, finding, among (adopters or other domains); a domain may have several
-- denominator: adopters, or all other domains of the list
-- section: the finding's own section is a column
-- by: scan, tld, rank, mx-operator, policy-host
with population as (
    select
        scan_id, stratum, if(adopter, 'adopters', 'other domains') as among,
        count(*) as of_n
    from subjects
    group by all
),
found as (
    select
        scan_id, stratum, if(adopter, 'adopters', 'other domains') as among,
        unnest(findings) as finding
    from subjects
),
counted as (
    select scan_id, stratum, among, finding, count(*) as n
    from found
    group by all
)
select
    scan_id, stratum, among, finding, c.severity, c.sentence, c.fix, c.section,
    n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from counted
join population using (scan_id, stratum, among)
left join findings_catalogue c on c.scan_id = counted.scan_id and c.id = counted.finding
order by scan_id, stratum, among, n desc, finding
