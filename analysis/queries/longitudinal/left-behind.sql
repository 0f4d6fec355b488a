-- question: What still stands at a policy hoster's names of the domains that it has served?
-- grain: scan, provider, found: what senders meet there now
-- denominator: domains that the provider served with a valid policy in an earlier scan and of which
--   either name still leads to it; left_out counts those whose names no longer do
-- section: RFC 8461 §8.2; reference/policy_hosts.csv; the 2025 study's table of policy hosters
-- by: scan
with served as (
    select distinct scan_id, domain, entry.provider as provider
    from known_aliases
    where entry.kind = 'managed'
),
customers as (
    select h.domain, s.provider, min(h.place) as place
    from histories h
    join served s using (scan_id, domain)
    where h.record_outcome = 'valid' and h.policy_outcome = 'valid' and h.mode <> 'none'
    group by all
),
found as (
    select
        h.scan_id, c.provider,
        case
            when s.domain is null then null
            when h.record_outcome = 'unmeasured' or h.policy_outcome = 'unmeasured' then 'unmeasured'
            when h.record_outcome = 'absent' then 'an alias without a record'
            when h.record_outcome <> 'valid' then 'a bad record'
            when h.policy_outcome = 'dns' then 'no policy host'
            when h.policy_outcome = 'tls' then 'no good certificate'
            when h.policy_outcome = 'syntax' then 'an empty or malformed policy'
            when h.policy_outcome <> 'valid' then 'no policy file'
            when h.mode = 'none' then 'mode none'
            when h.mx_covered < h.mx_total then 'a policy that misses an MX host'
            else 'a policy that fits'
        end as found,
        count(*) as n
    from histories h
    join customers c on c.domain = h.domain and c.place < h.place
    left join served s
        on s.scan_id = h.scan_id and s.domain = h.domain and s.provider = c.provider
    group by all
),
totals as (
    select
        *,
        sum(n) filter (found is not null) over placed as of_n,
        coalesce(sum(n) filter (found is null) over placed, 0) as left_out
    from found
    window placed as (partition by scan_id, provider)
)
select
    scan_id, provider, found, n, of_n::bigint as of_n,
    unnest(wilson(n, of_n)), left_out::bigint as left_out
from totals
where found is not null
order by scan_id, of_n desc, provider, n desc, found
