-- question: Over which of IPv4 and IPv6 can policy hosts and MX hosts be reached?
-- grain: scan, stratum, policy_host and mx_hosts: the families of addresses that DNS knows of the one,
--   and of any of the others (both, IPv4, IPv6, none, unmeasured)
-- denominator: adopters; unmeasured is a class of its own, and holds a host whose look-up failed in
--   one family while the other has no address
-- section: RFC 8461 §3.3; RFC 5321 §5.1
-- by: scan, tld, rank, mx-operator, policy-host
with mx_addresses as (
    select
        scan_id, domain,
        bool_or(len(ipv4) > 0) as has_ipv4, bool_or(len(ipv6) > 0) as has_ipv6,
        -- NULL where a host was not looked up at all.
        not bool_and(coalesce(
            status_ipv4 in ('NOERROR', 'NO_ANSWER', 'NXDOMAIN')
                and status_ipv6 in ('NOERROR', 'NO_ANSWER', 'NXDOMAIN'),
            false
        )) as open
    from adopter_mx_hosts
    left join (
        select * from address_lookups
        qualify row_number() over (partition by scan_id, host order by attempt desc) = 1
    ) using (scan_id, host)
    group by all
),
families as (
    select
        s.scan_id, s.stratum, s.mx_total,
        ip_families(
            len(p.ipv4) > 0, len(p.ipv6) > 0,
            not (p.status_ipv4 in ('NOERROR', 'NO_ANSWER', 'NXDOMAIN')
                and p.status_ipv6 in ('NOERROR', 'NO_ANSWER', 'NXDOMAIN'))
        ) as policy_host,
        if(mx_total = 0, 'none', ip_families(m.has_ipv4, m.has_ipv6, m.open)) as mx_hosts
    from (from subjects where adopter) s
    left join policy_host_lookups p using (scan_id, domain)
    left join mx_addresses m using (scan_id, domain)
),
counted as (
    select scan_id, stratum, policy_host, mx_hosts, count(*) as n
    from families
    group by all
)
select
    scan_id, stratum, policy_host, mx_hosts, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from (select *, sum(n) over (partition by scan_id, stratum)::bigint as of_n from counted)
order by scan_id, stratum, n desc, policy_host, mx_hosts
