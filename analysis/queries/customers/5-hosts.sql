-- question: What did the MX hosts of these domains show, address by address?
-- grain: MX host that a finding speaks of
-- needs: customer_findings, $scan
with wanted as (
    select distinct host
    from mx_hosts
    where scan_id = $scan
        and domain in (
            select domain from customer_findings
            where place in ('mx-host', 'mx-handshake', 'mx-alias', 'tlsa')
        )
),
sessions as (
    select
        v.host,
        list({
            address: v.address, status: s.status, error: s.error, outcome: v.outcome,
            dane: v.dane, tls_version: s.tls_version, cipher: s.cipher, tls_group: s.tls_group,
            weaknesses: v.tls_weaknesses, refusing: v.refusing_senders, unoffered: v.unoffered_by,
            starttls_reply: s.starttls_reply, problems: v.certificate_problems,
            certificate: if(c.sha256 is null, null, {
                names: c.names, common_name: c.common_name, issuer: c.issuer,
                not_before: make_timestamp(epoch_us(c.not_before)),
                not_after: make_timestamp(epoch_us(c.not_after))
            })
        } order by contains(v.address, ':'), v.address) as sessions
    from mail_verdicts v
    join starttls_sessions s using (scan_id, host, address, attempt)
    left join certificates c on c.scan_id = $scan and c.sha256 = s.chain[1]
    semi join wanted on wanted.host = v.host
    where v.scan_id = $scan
    group by v.host
),
addresses as (
    select host, arg_max({aliases: cname_chain, known: list_concat(ipv4, ipv6)}, attempt) as found
    from address_lookups
    semi join wanted using (host)
    where scan_id = $scan
    group by host
),
tlsa as (
    select host, arg_max({name: qname, status: status, records: records}, attempt) as found
    from tlsa_lookups
    semi join wanted using (host)
    where scan_id = $scan
    group by host
)
select
    w.host, a.found.aliases as aliases, a.found.known as addresses, s.sessions,
    t.found.name as tlsa_name, t.found.status as tlsa_status, t.found.records as tlsa
from wanted w
left join sessions s using (host)
left join addresses a using (host)
left join tlsa t using (host)
