-- The columns that the queries use, as the crawler's records define them.
-- A scan made before a column existed reads as null, and one without a table as empty; a column
-- that is not listed here is still there for `sts-report sql`.

create table domains (scan_id varchar, domain varchar, rank bigint, list varchar, tld varchar,
    registrable_domain varchar, tags varchar[]);

create table txt_lookups (scan_id varchar, attempt bigint, status varchar, blame varchar,
    cname_chain varchar[], domain varchar, kind varchar, qname varchar, records blob[][]);

create table mx_lookups (scan_id varchar, attempt bigint, status varchar, blame varchar,
    domain varchar, hosts struct(preference bigint, host varchar)[], null_mx boolean,
    implicit_mx boolean);

create table address_lookups (scan_id varchar, attempt bigint, status varchar, blame varchar,
    cname_chain varchar[], host varchar, status_ipv4 varchar, status_ipv6 varchar, ipv4 varchar[],
    ipv6 varchar[]);

create table tlsa_lookups (scan_id varchar, attempt bigint, status varchar, blame varchar,
    host varchar, qname varchar,
    records struct(usage bigint, selector bigint, matching_type bigint, data blob)[]);

create table policy_fetches (scan_id varchar, attempt bigint, status varchar, blame varchar,
    stage varchar,
    host varchar, address varchar, domain varchar, error varchar, tls_version varchar,
    tls_alert varchar, cipher varchar, tls_group varchar, chain varchar[], http_status bigint,
    content_type varchar, location varchar, body blob, started_at timestamptz,
    body_sha256 varchar, carried_from varchar, due varchar);

create table starttls_sessions (scan_id varchar, attempt bigint, status varchar, blame varchar,
    stage varchar,
    host varchar, address varchar, error varchar, tls_version varchar, cipher varchar,
    tls_group varchar, chain varchar[], starttls_reply blob, started_at timestamptz,
    banner blob, ehlo blob[], starttls_offered boolean, carried_from varchar, due varchar);

create table certificates (scan_id varchar, sha256 varchar, names varchar[],
    common_name varchar, issuer varchar, not_before timestamptz, not_after timestamptz,
    self_issued boolean);

create table policy_verdicts (scan_id varchar, domain varchar, host varchar, address varchar,
    attempt bigint, outcome varchar, certificate_problems varchar[], tls_weaknesses varchar[],
    refusing_senders varchar[], unoffered_by varchar[]);

create table mail_verdicts (scan_id varchar, certificate_problems varchar[], host varchar,
    address varchar, attempt bigint, outcome varchar, dane varchar, tls_weaknesses varchar[],
    refusing_senders varchar[], unoffered_by varchar[]);

create table assessments (scan_id varchar, domain varchar, record_outcome varchar,
    policy_outcome varchar, policy_lenient boolean, mode varchar, max_age bigint,
    policy_mx varchar[], mx_total bigint, mx_covered bigint, mx_passing bigint,
    mx_failing bigint, mx_unmeasured bigint, misconfigured boolean, sender_outcome varchar,
    tlsrpt_outcome varchar, dane_outcome varchar, findings varchar[], rules_version varchar,
    record_id varchar);

create table findings_catalogue (scan_id varchar, id varchar, severity varchar,
    result_type varchar, sentence varchar, fix varchar, section varchar);
