-- What the vantages of a campaign saw of the same targets.

-- The domains of a campaign of which some vantage saw a record, a TLSRPT record or a TLSA record: nearly
-- all of a list publishes nothing.  What is left is small, and is compared in memory.
create view vantage_publishers as
select distinct campaign, domain
from assessments
join campaigns using (scan_id)
where record_outcome not in ('absent', 'unmeasured')
    or tlsrpt_outcome not in ('absent', 'unmeasured')
    or dane_outcome not in ('none', 'unmeasured');

-- What each vantage judged of them.
create view vantage_judgements as
select
    campaign, vantage, domain, record_outcome, record_id, tlsrpt_outcome, policy_outcome, mode,
    dane_outcome, sender_outcome
from assessments
join campaigns using (scan_id)
semi join vantage_publishers using (campaign, domain);

-- The names that each vantage was given for their mail; none where the domain does not exist.  Rows
-- without an answer are left out before the join, and the names are put in order after it: as many rows
-- as there are domains are read here.
create view vantage_mx as
select
    campaign, vantage, domain,
    case
        when implicit_mx then domain
        when len(hosts) = 0 then 'none'
        when len(hosts) = 1 then hosts[1].host
        else array_to_string(list_sort([mx.host for mx in hosts]), ' ')
    end as hosts
from (
    select scan_id, domain, hosts, implicit_mx
    from mx_lookups
    where implicit_mx or len(hosts) > 0 or status = 'NXDOMAIN'
)
join campaigns using (scan_id)
semi join vantage_publishers using (campaign, domain);

-- One row per campaign, vantage, fact and target for which that vantage has something to say: what
-- it could not measure is not here, nor is a domain that publishes nothing anywhere.
--   value  what is compared
--   word   the value where it is one of few; null for an id, a hash or a list of names
-- A host's addresses may be others from elsewhere: policy texts are compared by domain, all that were
-- served together, and what a mail host shows by host and address.
create view vantage_facts as
select campaign, vantage, 'MTA-STS record' as fact, domain as target, record_outcome as value,
    record_outcome as word
from vantage_judgements where record_outcome <> 'unmeasured'
union all
select campaign, vantage, 'record id', domain, record_id, null
from vantage_judgements where record_id is not null
union all
select campaign, vantage, 'TLSRPT record', domain, tlsrpt_outcome, tlsrpt_outcome
from vantage_judgements where tlsrpt_outcome <> 'unmeasured'
union all
select campaign, vantage, 'policy', domain, coalesce(mode, policy_outcome),
    coalesce(mode, policy_outcome)
from vantage_judgements where policy_outcome not in ('unmeasured', 'not-fetched')
union all
select c.campaign, c.vantage, 'policy text', domain,
    array_to_string(list_sort(list_distinct(list(body_sha256))), ' '), null
from latest_policy_fetches join campaigns c using (scan_id)
where http_status = 200 and body_sha256 is not null
group by c.campaign, c.vantage, domain
union all
select campaign, vantage, 'MX records', domain, hosts, null from vantage_mx
union all
select campaign, vantage, 'addresses of a host', host, value, null
from (
    select c.campaign, c.vantage, host,
        coalesce(nullif(array_to_string(list_sort(list_concat(ipv4, ipv6)), ' '), ''), 'none') as value
    from latest_address_lookups join campaigns c using (scan_id)
    where status_ipv4 in ('NOERROR', 'NO_ANSWER', 'NXDOMAIN')
        and status_ipv6 in ('NOERROR', 'NO_ANSWER', 'NXDOMAIN')
)
union all
select campaign, vantage, 'MX host', host || ' at ' || address, outcome, outcome
from mail_verdicts join campaigns using (scan_id) where outcome <> 'unmeasured'
union all
select c.campaign, c.vantage, 'MX certificate', host || ' at ' || address, chain[1], null
from latest_starttls_sessions join campaigns c using (scan_id) where len(chain) > 0
union all
select campaign, vantage, 'DANE', domain, dane_outcome, dane_outcome
from vantage_judgements where dane_outcome <> 'unmeasured'
union all
select campaign, vantage, 'what a sender does', domain, sender_outcome, sender_outcome
from vantage_judgements where sender_outcome <> 'unmeasured';

-- The facts in the order in which tables show them.
create macro fact_place(fact) as list_position(
    ['MTA-STS record', 'record id', 'TLSRPT record', 'policy', 'policy text', 'MX records',
        'addresses of a host', 'MX host', 'MX certificate', 'DANE', 'what a sender does'],
    fact
);

-- One row per fact and target of which some vantage saw something: nothing everywhere is agreed on
-- by nearly the whole list and would drown the rest.
--   vantages  how many measured it
--   agreed    whether they all saw the same
create view vantage_targets as
select
    campaign, fact, target, count(*) as vantages, min(value) = max(value) as agreed
from vantage_facts
group by campaign, fact, target
having bool_or(value not in ('absent', 'none') or fact = 'policy');

-- What each vantage saw of what they do not agree on: the place to look at one domain or host.
--   holders  how many of them saw this very value
create view vantage_differences as
select
    campaign, fact, target, vantage, value, word,
    count(*) over (partition by campaign, fact, target, value) as holders
from vantage_facts
semi join (from vantage_targets where not agreed) using (campaign, fact, target);

-- Whether a vantage reached a host, at any address and attempt: a TCP connection stood.  A failure of
-- the vantage itself and a host that it skipped do not count as a try.
create view vantage_reach as
with tries as (
    select scan_id, 'policy host' as probe, host, blame, stage from policy_fetches
    union all
    select scan_id, 'MX host', host, blame, stage from starttls_sessions
)
select campaign, vantage, probe, host, bool_or(blame is null or coalesce(stage <> 'connect', false)) as reached
from tries
join campaigns using (scan_id)
where blame is null or blame not in ('vantage', 'local', 'policy')
group by all;

-- How far one got, the furthest first: what any vantage reaches is reachable, and what it saw counts
-- for all of them.
create macro furthest(fact) as case fact
    when 'MTA-STS record' then ['valid', 'multiple', 'syntax', 'absent', 'unmeasured']
    when 'policy' then ['valid', 'syntax', 'http', 'tls', 'tcp', 'dns', 'unmeasured']
    else ['pass', 'certificate', 'tls-old', 'handshake-failed', 'starttls-refused', 'no-starttls',
        'unmeasured']
end;
create macro how_far(fact, outcome) as list_position(furthest(fact), outcome);
