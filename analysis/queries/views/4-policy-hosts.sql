-- Who serves an adopter's policy, as far as DNS shows it.
--
-- The aliases of both names are followed, the policy host's first; the first
-- that a pattern of reference/policy_hosts.csv knows names the provider.  Without an alias the
-- address may still tell.  "(no alias)" is not "self": a provider may hand out plain addresses.

create view policy_host_aliases as
select d.scan_id, d.domain, name, place
from adopters d
join (
    select scan_id, host, unnest(cname_chain) as name, generate_subscripts(cname_chain, 1) as place
    from latest_address_lookups
) a on a.scan_id = d.scan_id and a.host = 'mta-sts.' || d.domain
union all
select d.scan_id, d.domain, name, 100 + place as place
from adopters d
join (
    select scan_id, domain, unnest(cname_chain) as name, generate_subscripts(cname_chain, 1) as place
    from latest_txt_lookups
    where kind = 'mta-sts'
) t using (scan_id, domain);

create view policy_host_named as
select a.scan_id, a.domain, arg_min(coalesce(four.provider, three.provider, two.provider), a.place) as provider
from policy_host_aliases a
left join reference_policy_hosts four on four.matches = 'alias' and four.pattern = last_labels(a.name, 4)
left join reference_policy_hosts three on three.matches = 'alias' and three.pattern = last_labels(a.name, 3)
left join reference_policy_hosts two on two.matches = 'alias' and two.pattern = last_labels(a.name, 2)
where coalesce(four.provider, three.provider, two.provider) is not null
group by all;

create view policy_host_addressed as
select d.scan_id, d.domain, min(r.provider) as provider
from adopters d
join (
    select scan_id, host, unnest(list_concat(ipv4, ipv6)) as address from latest_address_lookups
) a on a.scan_id = d.scan_id and a.host = 'mta-sts.' || d.domain
join reference_policy_hosts r on r.matches = 'address' and r.pattern = a.address
group by all;

create view domain_policy_host as
select
    d.scan_id, d.domain,
    coalesce(
        named.provider, addressed.provider,
        case
            when aliased.domain is not null then '(another alias)'
            when d.policy_outcome in ('unmeasured', 'dns') then '(no address known)'
            else '(no alias)'
        end
    ) as provider
from adopters d
left join policy_host_named named using (scan_id, domain)
left join policy_host_addressed addressed using (scan_id, domain)
left join (
    select distinct scan_id, domain from policy_host_aliases where not at_or_below(name, domain)
) aliased using (scan_id, domain);
