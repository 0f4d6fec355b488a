-- question: What share of the domains with an MX record publishes an MTA-STS record?
-- grain: scan, stratum
-- denominator: domains with an MX host in DNS and a measured _mta-sts answer; implicit and null MX
--   do not count, as in the 2025 study; left_out counts those whose record was not measured
-- section: RFC 8461 §3.1; the 2025 study's overview table
-- by: scan, tld, rank, mx-operator
with counted as (
    select
        scan_id, stratum,
        count(*) filter (adopter) as n,
        count(*) filter (record_outcome <> 'unmeasured') as of_n,
        count(*) filter (record_outcome = 'unmeasured') as left_out
    from subjects
    join (
        select scan_id, domain
        from mx_lookups
        where not null_mx and len(hosts) > 0
            and (hosts[1].host <> '' or len(list_filter(hosts, lambda mx: mx.host <> '')) > 0)
    ) using (scan_id, domain)
    group by all
)
select scan_id, stratum, n, of_n, unnest(wilson(n, of_n)), left_out
from counted
order by scan_id, stratum
