-- question: What does each of these domains have to change, and where exactly?
-- grain: domain, the gravest first, then in the order of the list or by name; its findings in the
--   order of their severity, and the facts that they speak of
-- note: facts are fetched only for the domains with a finding about them
-- needs: customer_verdicts, customer_findings, customer_since, customer_hosts, $scan
with found as (
    select
        domain,
        list({id: id, since: since} order by severity_weight(severity), nth) as findings
    from customer_findings
    left join customer_since using (domain, id)
    group by domain
),
asked_for as (
    select distinct domain, place from customer_findings
),
texts as (
    select
        domain, kind,
        arg_max({
            name: qname, status: status, records: records, aliases: cname_chain
        }, attempt) as found
    from txt_lookups
    where scan_id = $scan
        and ((kind = 'mta-sts' and domain in (select domain from asked_for where place = 'record'))
            or (kind = 'tls-rpt' and domain in (select domain from asked_for where place = 'tlsrpt')))
    group by domain, kind
),
policy_names as (
    select
        host,
        arg_max({
            status: status, aliases: cname_chain, addresses: list_concat(ipv4, ipv6)
        }, attempt) as found
    from address_lookups
    where scan_id = $scan
        and host in (select 'mta-sts.' || domain from asked_for where place = 'policy-name')
    group by host
),
fetches as (
    select
        v.domain,
        -- The address that speaks for the policy first: one that was dialled, IPv4 before IPv6.
        list({
            address: f.address, status: f.status, error: f.error, outcome: v.outcome,
            tls_version: f.tls_version, cipher: f.cipher, tls_group: f.tls_group,
            weaknesses: v.tls_weaknesses, refusing: v.refusing_senders, unoffered: v.unoffered_by,
            tls_alert: f.tls_alert, http_status: f.http_status,
            content_type: f.content_type, location: f.location, body: f.body,
            problems: v.certificate_problems,
            certificate: if(c.sha256 is null, null, {
                names: c.names, common_name: c.common_name, issuer: c.issuer,
                not_before: make_timestamp(epoch_us(c.not_before)),
                not_after: make_timestamp(epoch_us(c.not_after))
            })
        } order by f.status = 'blocklisted-target', contains(f.address, ':'), f.address) as found
    from policy_verdicts v
    join policy_fetches f using (scan_id, domain, address, attempt)
    left join certificates c on c.scan_id = $scan and c.sha256 = f.chain[1]
    where v.scan_id = $scan
        and v.domain in (
            select domain from asked_for
            where place in ('policy-answer', 'policy-answers', 'policy-handshake',
                'policy-certificate', 'policy-file', 'mx-lines')
        )
    group by v.domain
),
mx as (
    select domain, implicit_mx, unnest(hosts) as mx
    from mx_lookups
    where scan_id = $scan and not implicit_mx
    union all
    select domain, implicit_mx, {preference: null, host: domain}
    from mx_lookups
    where scan_id = $scan and implicit_mx
),
mail as (
    select
        m.domain,
        list({
            preference: m.mx.preference, host: m.mx.host, aliases: h.aliases,
            addresses: h.addresses, sessions: h.sessions, tlsa_name: h.tlsa_name,
            tlsa_status: h.tlsa_status, tlsa: h.tlsa
        } order by m.mx.preference, m.mx.host) as found
    from mx m
    left join customer_hosts h on h.host = m.mx.host
    where m.domain in (
        select domain from asked_for
        where place in
            ('mx-records', 'mx-lines', 'mx-host', 'mx-handshake', 'mx-alias', 'tlsa')
    )
    group by m.domain
)
select
    v.domain, v.listed, v.verdict, v.sender_outcome, v.mode, v.max_age, v.policy_mx, v.mx_total,
    v.mx_covered, found.findings, record.found as record, reports.found as tlsrpt,
    policy_names.found as policy_name, fetches.found as fetches, mail.found as mx
from customer_verdicts v
left join found using (domain)
left join texts record on record.domain = v.domain and record.kind = 'mta-sts'
left join texts reports on reports.domain = v.domain and reports.kind = 'tls-rpt'
left join policy_names on policy_names.host = 'mta-sts.' || v.domain
left join fetches on fetches.domain = v.domain
left join mail on mail.domain = v.domain
order by v.verdict, v.weight, v.place, v.domain
