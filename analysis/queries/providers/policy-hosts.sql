-- question: Who serves the policies of the adopters?
-- grain: scan, stratum, provider behind the policy host, as its aliases or addresses show; hosts_mail
--   and after_opt_out are what the 2025 study found of it: whether it receives mail as well, and what
--   it leaves behind when a customer leaves
-- denominator: adopters
-- section: RFC 8461 §8.2; reference/policy_hosts.csv; the 2025 study's table of policy hosters
-- by: scan, tld, rank, mx-operator
with classed as (
    select scan_id, stratum, provider, any_value(kind) as kind, count(*) as n
    from subjects
    join domain_policy_host using (scan_id, domain)
    group by all
),
counted as (
    select *, sum(n) over (partition by scan_id, stratum)::bigint as of_n
    from classed
)
select
    scan_id, stratum, provider, kind, p.hosts_mail,
    'name: ' || p.name_left_behind || '; certificate: ' || p.certificate_left_behind
        || '; policy: ' || p.policy_left_behind as after_opt_out,
    n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from counted
left join reference_policy_providers p using (provider)
order by scan_id, stratum, n desc, provider
