-- Who manages an adopter's policy host and the MX host that a sender tries first: the domain's own
-- administrator, a third party, or nobody can tell.
--
-- The rule of thumb is that of the 2025 study: how many domains share a name or an address.  The
-- reference lists add to it: who is known to work for others is a third party however few its
-- customers in this scan, and who is known to own many domains is their administrator.

-- One row per adopter and endpoint with what the rule looks at:
--   party    who it is, as far as a name tells: a provider, an operator, or a registrable name
--   address  of a policy host: the address that it shares with most others
--   own      the host's name lies below the domain's own registrable name
--   known    the reference lists say that it works for others
--   one      the reference lists say that it is one administrator of many domains
--   size     how many share the name or the address: adopters for a policy host, of which no others
--            are looked up, all domains of the list for an MX host; null when nothing is known of it
create view parties as
with addressed as (
    select
        scan_id, domain, address,
        count(*) over (partition by scan_id, address) as size
    from policy_host_addresses
),
by_address as (
    select scan_id, domain, max(size) as size, arg_max(address, {s: size, a: address}) as address
    from addressed
    group by all
),
by_name as (
    select
        scan_id, domain, kind,
        coalesce(if(kind is null, null, provider), operator_name(alias)) as party,
        if(party is null, null, count(*) over (partition by scan_id, party)) as size
    from domain_policy_host
)
select
    n.scan_id, n.domain, 'policy host' as endpoint, n.party, a.address,
    false as own,
    coalesce(kind in ('managed', 'registrar'), false) as known,
    coalesce(kind = 'cluster', false) as one,
    greatest(n.size, a.size) as size
from by_name n
left join by_address a using (scan_id, domain)
union all
select
    n.scan_id, n.domain, 'MX host', coalesce(n.known, n.name), null,
    coalesce(operator_name(n.host) = operator_name(n.domain), false),
    coalesce(n.kind <> 'cluster', false),
    coalesce(n.kind = 'cluster', false),
    coalesce(s.size, 1)
from adopter_mx_name n
left join mx_party_size s on s.scan_id = n.scan_id and s.party = coalesce(n.known, n.name);

-- The class and what it rests on, from the columns of "parties" and the two thresholds.
create macro managing_entity(own, known, one, size, third_from, self_to) as
    case
        when one then {entity: 'self', basis: 'known to own many domains'}
        when known then {entity: 'third party', basis: 'known to work for others'}
        when own then {entity: 'self', basis: 'below its own name'}
        when size is null then {entity: 'unclassified', basis: 'no name or address known'}
        when size >= third_from then {entity: 'third party', basis: 'shared by many'}
        when size <= self_to then {entity: 'self', basis: 'shared by few'}
        else {entity: 'unclassified', basis: 'in between'}
    end;

create view managing_entities as
select scan_id, domain, endpoint, party, address, size, managed.entity as entity, managed.basis as basis
from (
    select
        *,
        managing_entity(own, known, one, size, third_party_from(), self_up_to()) as managed
    from parties
);

create view subjects_by_policy_entity as
select j.*, coalesce(e.entity, '(no record)') as stratum
from judged j
left join (from managing_entities where endpoint = 'policy host') e using (scan_id, domain);

create view subjects_by_mx_entity as
select
    j.*,
    coalesce(e.entity, if(j.adopter, '(no MX known)', '(no record)')) as stratum
from judged j
left join (from managing_entities where endpoint = 'MX host') e using (scan_id, domain);

