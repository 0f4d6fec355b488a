-- Who serves an adopter's policy, as far as DNS shows it.
--
-- The aliases of both names are followed, the policy host's first; the first that a pattern of
-- reference/policy_hosts.csv knows names the provider.  Without an alias the address may still
-- tell.  "(no alias)" is not "self": a provider may hand out plain addresses.

-- The last look-up of each policy host that was looked up, whether the domain adopts or not.
create view policy_host_lookups as
from (
    select
        scan_id, substr(host, 9) as domain, attempt, status, status_ipv4, status_ipv6,
        cname_chain, ipv4, ipv6
    from address_lookups
    where starts_with(host, 'mta-sts.')
)
qualify row_number() over (partition by scan_id, domain order by attempt desc) = 1;

-- Every name that a domain's policy host or record is redirected to, the policy host's first.
create view aliases as
select scan_id, domain, 'policy host' as side, unnest(cname_chain) as name,
    generate_subscripts(cname_chain, 1) as place
from policy_host_lookups
union all
select scan_id, domain, 'record', unnest(chain), 100 + generate_subscripts(chain, 1)
from (
    select scan_id, domain, arg_max(cname_chain, attempt) as chain
    from txt_lookups
    where kind = 'mta-sts' and len(cname_chain) > 0
    group by all
);

create view policy_host_suffixes as
select
    last_two_labels(pattern) as labels,
    list({pattern: pattern, provider: provider, kind: kind} order by strlen(pattern) desc) as patterns
from reference_policy_hosts
where matches = 'alias'
group by labels;

-- The aliases with the entry of the list that knows them, null if none does.
create view known_aliases as
select a.*, longest_suffix(a.name, s.patterns) as entry
from aliases a
left join policy_host_suffixes s on s.labels = last_two_labels(a.name);

create view policy_host_aliases as
select scan_id, domain, name, place, entry
from known_aliases
semi join adopters using (scan_id, domain);

create view policy_host_addresses as
select scan_id, domain, unnest(list_concat(ipv4, ipv6)) as address
from policy_host_lookups
semi join adopters using (scan_id, domain);

create view domain_policy_host as
with named as (
    select scan_id, domain, arg_min(entry, place) as entry
    from policy_host_aliases
    where entry is not null
    group by all
),
addressed as (
    select a.scan_id, a.domain, arg_min({provider: r.provider, kind: r.kind}, r.provider) as entry
    from policy_host_addresses a
    join reference_policy_hosts r on r.matches = 'address' and r.pattern = a.address
    group by all
),
aliased as (
    select scan_id, domain, arg_min(name, place) as alias
    from policy_host_aliases
    where not at_or_below(name, domain)
    group by all
)
select
    d.scan_id, d.domain,
    coalesce(
        named.entry.provider, addressed.entry.provider,
        case
            when alias is not null then '(another alias)'
            when d.policy_outcome in ('unmeasured', 'dns') and placed.domain is null
                then '(no address known)'
            else '(no alias)'
        end
    ) as provider,
    coalesce(named.entry.kind, addressed.entry.kind) as kind,
    alias
from adopters d
left join named using (scan_id, domain)
left join addressed using (scan_id, domain)
left join aliased using (scan_id, domain)
left join (select distinct scan_id, domain from policy_host_addresses) placed
    using (scan_id, domain);
