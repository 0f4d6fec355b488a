-- question: Where do policy hosts redirect to, although senders must not follow?
-- grain: scan, stratum, HTTP status, target: the policy host itself, another name of the domain, the
--   registrable name of a host elsewhere, or none that can be read; those that do not redirect are one
--   class without a status
-- denominator: adopters whose policy host answered over HTTPS
-- section: RFC 8461 §3.3; RFC 9110 §15.4
-- by: scan, tld, rank, mx-operator, policy-host
with answered as (
    select
        scan_id, stratum, domain,
        if(http_status between 300 and 399, http_status, null) as http_status,
        -- The authority of the URI without user and port; a relative one stays on the host.
        case
            when location is null or location = '' then null
            when not contains(location, '//') then 'mta-sts.' || domain
            else lower(split_part(
                split_part(split_part(split_part(location, '//', 2), '/', 1), '@', -1), ':', 1
            ))
        end as target_host
    from (from subjects where adopter)
    join policy_answers a using (scan_id, domain)
    where a.http_status is not null
),
counted as (
    select
        scan_id, stratum, http_status,
        case
            when http_status is null then '(not redirected)'
            when coalesce(target_host, '') = '' then '(none)'
            when target_host = 'mta-sts.' || domain then '(the policy host)'
            when at_or_below(target_host, domain) then '(the domain or below it)'
            else operator_name(target_host)
        end as target,
        count(*) as n
    from answered
    group by all
)
select
    scan_id, stratum, http_status, target, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from (select *, sum(n) over (partition by scan_id, stratum)::bigint as of_n from counted)
order by scan_id, stratum, n desc, http_status, target
