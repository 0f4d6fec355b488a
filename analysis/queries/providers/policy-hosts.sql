-- question: Who serves the policies of the adopters?
-- grain: scan, stratum, provider behind the policy host, as its aliases or addresses show
-- denominator: adopters
-- section: RFC 8461 §8.2; reference/policy_hosts.csv; the 2025 study's table of policy hosters
-- by: scan, tld, rank, mx-operator
with classed as (
    select scan_id, stratum, provider, count(*) as n
    from subjects
    join domain_policy_host using (scan_id, domain)
    group by all
),
counted as (
    select *, sum(n) over (partition by scan_id, stratum)::bigint as of_n
    from classed
),
kinds as (
    select provider, min(kind) as kind from reference_policy_hosts group by all
)
select
    scan_id, stratum, provider, kind, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from counted
left join kinds using (provider)
order by scan_id, stratum, n desc, provider
