-- question: Whose mail would a sender refuse today that has met the domain before?
-- grain: scan, stratum, sender (refreshes the policy in every scan, or waits for the id to change),
--   delivery (delivered, refused, no mail, unmeasured), first_time: what becomes of it at a sender
--   without a cached policy (refused, not refused, unmeasured)
-- denominator: domains on the list of the scan of which the sender holds a policy that has not expired;
--   left_out counts those that had a record in this or an earlier scan of the archive and of which it
--   holds none
-- section: RFC 8461 §3.3, §5.1, replayed over the scans of the archive
-- by: scan, tld, rank, mx-operator
with adopted as (
    select scan_id, domain, bool_or(adopter) over sofar as adopted
    from histories
    window sofar as (partition by domain order by place rows unbounded preceding)
),
known as (
    select scan_id, stratum, count(*) as domains
    from subjects
    join (from adopted where adopted) using (scan_id, domain)
    group by all
),
counted as (
    select
        scan_id, stratum, sender, delivery,
        case
            when d.sender_outcome in ('refused', 'unmeasured') then d.sender_outcome
            else 'not refused'
        end as first_time,
        count(*) as n
    from subjects s
    join sender_deliveries d using (scan_id, domain)
    group by all
),
totals as (
    select *, sum(n) over (partition by scan_id, stratum, sender)::bigint as of_n from counted
)
select
    scan_id, stratum, sender, delivery, first_time, n, of_n, unnest(wilson(n, of_n)),
    domains - of_n as left_out
from totals
join known using (scan_id, stratum)
order by
    scan_id, stratum, sender,
    list_position(['delivered', 'refused', 'no mail', 'unmeasured'], delivery), first_time
