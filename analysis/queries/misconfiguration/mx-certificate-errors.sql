-- question: Why do the certificates of MX hosts not pass?
-- grain: scan, stratum, certificate problem, or none; a domain may have several
-- denominator: adopters of whom at least one MX host showed a certificate that was judged; left_out
--   counts the other adopters
-- section: RFC 8461 §4.2; the 2025 study's MX certificate errors
-- by: scan, tld, rank, mx-operator, policy-host
with shown as (
    select
        scan_id, stratum, domain,
        list_distinct(flatten(list(certificate_problems))) as problems
    from subjects
    join mx_hosts using (scan_id, domain)
    join mail_verdicts using (scan_id, host)
    where adopter and outcome in ('pass', 'certificate')
    group by all
),
population as (
    select scan_id, stratum, count(*) as adopters
    from subjects
    where adopter
    group by all
),
shown_population as (
    select scan_id, stratum, count(*) as of_n
    from shown
    group by all
),
problems as (
    select
        scan_id, stratum,
        unnest(if(len(problems) = 0, ['none'], problems)) as certificate_problem
    from shown
),
counted as (
    select scan_id, stratum, certificate_problem, count(*) as n
    from problems
    group by all
)
select
    scan_id, stratum, certificate_problem, n, of_n, unnest(wilson(n, of_n)),
    adopters - of_n as left_out
from counted
join shown_population using (scan_id, stratum)
join population using (scan_id, stratum)
order by scan_id, stratum, n desc, certificate_problem
