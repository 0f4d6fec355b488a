-- The MX hosts of a domain and who runs them.
--
-- These read mx_lookups directly: only a transient failure is asked again, so at most one attempt
-- for a domain carries hosts or says that the domain itself is the implicit MX.

-- The answers for adopters alone, who are few: they are picked before the hosts are spread out.
create view adopter_mx_lookups as
select scan_id, domain, hosts, null_mx, implicit_mx
from mx_lookups
semi join adopters using (scan_id, domain);

-- One row per domain and MX host.
create macro hosts_of(answers) as table
select scan_id, domain, mx.host as host, mx.preference as preference
from (
    select scan_id, domain, unnest(hosts) as mx
    from query_table(answers)
    where not null_mx
)
where mx.host <> ''
union all
select scan_id, domain, domain as host, 0 as preference
from query_table(answers)
where implicit_mx;
create view mx_hosts as from hosts_of('mx_lookups');
create view adopter_mx_hosts as from hosts_of('adopter_mx_lookups');

-- One row per domain: the host that a sender tries first, and whether it is the domain's own name or
-- lies below it.  Hosts are stored by preference, then by name, so among equals it is the first by name.
-- The root is no host, alone (RFC 7505) or beside others.
create macro first_host_of(answers) as table
select scan_id, domain, host, at_or_below(host, domain) as own
from (
    select
        scan_id, domain,
        case
            when implicit_mx then domain
            when hosts[1].host <> '' then hosts[1].host
            else list_filter(hosts, lambda mx: mx.host <> '')[1].host
        end as host
    from query_table(answers)
    where implicit_mx or (not null_mx and len(hosts) > 0)
)
where host is not null;
create view first_mx as from first_host_of('mx_lookups');
create view adopter_first_mx as from first_host_of('adopter_mx_lookups');

-- The suffixes of reference/mail_operators.csv by their last two labels, the longest first, so that
-- one look-up finds all that may fit a host.
create view mail_operator_suffixes as
select
    last_two_labels(pattern) as labels,
    list({pattern: pattern, operator: operator, kind: kind} order by strlen(pattern) desc) as patterns
from reference_mail_operators
where matches = 'suffix'
group by labels;

-- Who runs the first MX host: the operator of the longest suffix that is known, or else the name
-- under which somebody else would have registered it.  Both are null below the domain itself.
create macro named_mx(first) as table
select
    * exclude entry, entry.operator as known, entry.kind as kind,
    if(entry is null and not own, operator_name(host), null) as name
from (
    select f.*, longest_suffix(f.host, s.patterns) as entry
    from query_table(first) f
    left join mail_operator_suffixes s on s.labels = last_two_labels(f.host)
);
create view adopter_mx_name as from named_mx('adopter_first_mx');

-- How many domains have a first MX host that ends so.  Whole lists have their mail at hosts such as
-- <customer>.mail.protection.outlook.com, and an operator is told from four labels at the most: it is
-- looked up once for each ending and not once for each domain.  A host below the domain itself that
-- no suffix knows is nobody's, and there are very many: it is left out here.
create view first_mx_endings as
select scan_id, last_four_labels(host) as host, own, count(*) as domains
from first_mx
where not own or if(own, last_two_labels(host), null) in (select labels from mail_operator_suffixes)
group by all;

-- Whose an ending is, and how many domains of the list this operator or name receives mail for.  A name
-- of a single domain is left out: these, too, are very many.
create view mx_party_endings as
select
    scan_id, host, own, party, is_known,
    sum(domains) over (partition by scan_id, party)::bigint as size
from (
    select *, coalesce(known, name) as party, known is not null as is_known
    from named_mx('first_mx_endings')
)
where party is not null
qualify is_known or size > 1;

-- How many domains an operator or a name receives mail for, where they are several.
create view mx_party_size as
select distinct scan_id, party, size from mx_party_endings where size > 1;

-- A name that no suffix knows stands for its operator when ten domains of the scan or more share
-- it; below that, who serves many cannot be told from who serves a few.
create macro mx_operator_of(first) as table
select
    f.scan_id, f.domain, f.host,
    coalesce(e.party, if(f.own, '(below the domain itself)', '(another operator)')) as operator
from query_table(first) f
left join (from mx_party_endings where is_known or size >= 10) e
    on e.scan_id = f.scan_id and e.host = last_four_labels(f.host) and e.own = f.own;
create view domain_mx_operator as from mx_operator_of('first_mx');
create view adopter_mx_operator as from mx_operator_of('adopter_first_mx');
