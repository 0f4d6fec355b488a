-- question: Why do the certificates of MX hosts not pass?
-- grain: scan, stratum, certificate problem, or none; a domain may have several
-- denominator: adopters of whom at least one MX host showed a certificate that was judged; left_out
--   counts the other adopters
-- section: RFC 8461 §4.2; the 2025 study's MX certificate errors
-- by: scan, tld, rank, mx-operator, policy-host, policy-entity, mx-entity
with by_host as (
    select scan_id, host, list_distinct(flatten(list(certificate_problems))) as problems
    from mail_verdicts
    where outcome in ('pass', 'certificate')
    group by all
),
shown as (
    select scan_id, domain, list_distinct(flatten(list(problems))) as problems
    from adopter_mx_hosts
    join by_host using (scan_id, host)
    group by all
),
population as (
    select scan_id, stratum, problems, count(*) as domains
    from subjects
    left join shown using (scan_id, domain)
    where adopter
    group by all
),
problems as (
    select
        scan_id, stratum, domains,
        unnest(if(len(problems) = 0, ['none'], problems)) as certificate_problem
    from population
    where problems is not null
),
counted as (
    select scan_id, stratum, certificate_problem, sum(domains)::bigint as n
    from problems
    group by all
),
totals as (
    select
        scan_id, stratum,
        coalesce(sum(domains) filter (problems is not null), 0)::bigint as of_n,
        coalesce(sum(domains) filter (problems is null), 0)::bigint as left_out
    from population
    group by all
)
select scan_id, stratum, certificate_problem, n, of_n, unnest(wilson(n, of_n)), left_out
from counted
join totals using (scan_id, stratum)
order by scan_id, stratum, n desc, certificate_problem
