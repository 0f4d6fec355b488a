-- What the policy hosts and the MX hosts of adopters showed, one row per host.
--
-- Of each address the last attempt counts, as in the judgement; of several addresses the one that
-- got furthest, and of equals the first.

create view policy_answers as
with latest as (
    select
        scan_id, domain, host, address, status, started_at, tls_version, chain[1] as leaf,
        http_status, content_type, location, body_sha256
    from policy_fetches
    semi join adopters using (scan_id, domain)
    qualify row_number() over (partition by scan_id, domain, address order by attempt desc) = 1
)
from latest
qualify row_number() over (
    partition by scan_id, domain
    order by http_status is null, tls_version is null, leaf is null, address
) = 1;

create view mx_answers as
with hosts as (
    select distinct scan_id, host from adopter_mx_hosts
),
latest as (
    select
        scan_id, host, address, status, started_at, tls_version, chain[1] as leaf, banner, ehlo
    from starttls_sessions
    semi join hosts using (scan_id, host)
    qualify row_number() over (partition by scan_id, host, address order by attempt desc) = 1
)
from latest
qualify row_number() over (
    partition by scan_id, host
    order by tls_version is null, leaf is null, banner is null, address
) = 1;

create view endpoints as
select scan_id, 'policy host' as endpoint, host, status, started_at, tls_version, leaf
from policy_answers
union all
select scan_id, 'MX host', host, status, started_at, tls_version, leaf
from mx_answers;

-- The hosts whose certificate was seen, with what it says of itself.
create view endpoint_certificates as
select e.scan_id, e.endpoint, e.host, e.started_at, c.issuer, c.not_after, c.self_issued
from endpoints e
join certificates c on c.scan_id = e.scan_id and c.sha256 = e.leaf;

-- The software of the MX hosts that greeted: the surest of the patterns that fit, of equals the
-- longest (reference/mta_software.csv); null when none does.
create view mx_software as
with greeted as (
    select
        scan_id, host, greeting_text(banner) as greeting,
        lower(array_to_string([line::varchar for line in ehlo], ' ')) as ehlo
    from mx_answers
    where starts_with(banner::varchar, '220')
),
fitting as (
    select
        scan_id, host,
        arg_max(
            {software: r.software, confidence: r.confidence},
            1000 * list_position(['guess', 'likely', 'sure'], r.confidence)
                + if(r.matches = 'host', 500, 0) + strlen(r.pattern)
        ) as found
    from greeted g
    join reference_mta_software r
        on case r.matches
            when 'greeting' then contains(g.greeting, r.pattern)
            when 'ehlo' then contains(g.ehlo, r.pattern)
            when 'host' then at_or_below(g.host, r.pattern)
        end
    group by all
)
select g.scan_id, g.host, f.found.software as software, f.found.confidence as confidence
from greeted g
left join fitting f using (scan_id, host);
