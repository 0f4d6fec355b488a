-- The MX hosts of a domain and who runs them.
--
-- These read mx_lookups directly: only a transient failure is asked again, so at most one attempt
-- for a domain carries hosts or says that the domain itself is the implicit MX.

-- One row per domain and MX host.
create view mx_hosts as
select scan_id, domain, mx.host as host, mx.preference as preference
from (
    select scan_id, domain, unnest(hosts) as mx
    from mx_lookups
    where not null_mx
)
where mx.host <> ''
union all
select scan_id, domain, domain as host, 0 as preference
from mx_lookups
where implicit_mx;

-- One row per domain: the host that a sender tries first.  Hosts are stored by preference, then
-- by name, so among equals it is the first by name.
create view first_mx as
select scan_id, domain, case when implicit_mx then domain else hosts[1].host end as host
from mx_lookups
where implicit_mx or (not null_mx and len(hosts) > 0);

-- The operator by the longest suffix of reference/mail_operators.csv, which has two to four labels;
-- each join is a look-up in a small table, so the domains stream past.  A name that no suffix knows
-- stands for its operator when ten domains of the scan or more share it; below that, who serves
-- many cannot be told from who serves a few.
create view domain_mx_operator as
with named as (
    select
        f.scan_id, f.domain, f.host,
        coalesce(four.operator, three.operator, two.operator) as known,
        if(known is null and not at_or_below(f.host, f.domain), operator_name(f.host), null) as name
    from first_mx f
    left join reference_mail_operators four on four.suffix = last_labels(f.host, 4)
    left join reference_mail_operators three on three.suffix = last_labels(f.host, 3)
    left join reference_mail_operators two on two.suffix = last_labels(f.host, 2)
),
shared as (
    select scan_id, name
    from named
    where name is not null
    group by all
    having count(*) >= 10
)
select
    n.scan_id, n.domain, n.host,
    coalesce(
        n.known, s.name,
        if(n.name is null, '(below the domain itself)', '(another operator)')
    ) as operator
from named n
left join shared s on s.scan_id = n.scan_id and s.name = n.name;
