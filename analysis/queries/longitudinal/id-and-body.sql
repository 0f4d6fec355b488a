-- question: Does the record's id change when the policy does, and only then?
-- grain: scan, stratum, id (changed, same), body (changed, same), both since the last scan before that
--   lists the domain; scans that carry over (scan --since) are passed over, for they ask more of those
--   whose record has changed
-- denominator: adopters with a valid record and a policy file, received with status 200, in both scans;
--   left_out counts the other adopters that were on the list of both
-- section: RFC 8461 §3.1, §8.1; the body is compared octet by octet
-- by: scan, tld, rank, mx-operator, policy-host
with told as (
    select
        h.scan_id, h.domain, h.adopter, row_number() over history as nth,
        if(h.record_outcome = 'valid' and a.http_status = 200, h.record_id, null) as id,
        if(id is null, null, a.body_sha256) as body,
        lag(id) over history as old_id,
        lag(body) over history as old_body
    from (from histories anti join carrying_scans using (scan_id)) h
    left join policy_answers a using (scan_id, domain)
    window history as (partition by h.domain order by h.place)
),
counted as (
    select
        scan_id, stratum,
        if(t.body is null or old_body is null, null, if(t.id = old_id, 'same', 'changed')) as id,
        if(t.body is null or old_body is null, null, if(t.body = old_body, 'same', 'changed')) as body,
        count(*) as n
    from subjects
    join (from told where nth > 1) t using (scan_id, domain)
    where t.adopter
    group by all
),
totals as (
    select
        *,
        sum(n) filter (id is not null) over placed as of_n,
        coalesce(sum(n) filter (id is null) over placed, 0) as left_out
    from counted
    window placed as (partition by scan_id, stratum)
)
select
    scan_id, stratum, id, body, n, of_n::bigint as of_n,
    unnest(wilson(n, of_n)), left_out::bigint as left_out
from totals
where id is not null
order by scan_id, stratum, n desc, id, body
