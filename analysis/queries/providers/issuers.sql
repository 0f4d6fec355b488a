-- question: Who issues the certificates of policy hosts and MX hosts?
-- grain: scan, endpoint (policy host or MX host), issuer: the organisation that the certificate names,
--   or its common name where it names none
-- denominator: hosts of adopters that showed a certificate, trusted or not; left_out counts those that
--   were spoken to and showed none
-- section: RFC 8461 §3.3, §4.2; RFC 5280 §4.1.2.4
-- by: scan
with spoken_to as (
    select scan_id, endpoint, count(*) as hosts from endpoints group by all
),
seen as (
    select scan_id, endpoint, self_issued, issuer, count(*) as n
    from endpoint_certificates
    group by all
),
-- An attribute of the RFC 4514 string ends at a comma that no backslash escapes.
read as (
    select
        scan_id, endpoint, n,
        case
            when self_issued then '(itself)'
            else coalesce(
                nullif(regexp_extract(issuer, '(?:^|,)O=((?:[^,\\]|\\.)*)', 1), ''),
                nullif(regexp_extract(issuer, '(?:^|,)CN=((?:[^,\\]|\\.)*)', 1), ''),
                '(not named)'
            )
        end as issuer
    from seen
),
counted as (
    select
        scan_id, endpoint, replace(issuer, '\', '') as issuer, sum(n)::bigint as n,
        sum(sum(n)) over (partition by scan_id, endpoint)::bigint as of_n
    from read
    group by scan_id, endpoint, read.issuer
)
select
    scan_id, endpoint, issuer, n, of_n, unnest(wilson(n, of_n)), hosts - of_n as left_out
from counted
join spoken_to using (scan_id, endpoint)
order by scan_id, endpoint desc, n desc, issuer
