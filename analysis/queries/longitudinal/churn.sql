-- question: How many adopters came and went since the scan before?
-- grain: scan, change: stayed; adopted or removed, by a domain on both lists; joined or left the list
--   with a record; not measured before, or now
-- denominator: domains that publish a record in this scan or in the one before it in the archive
-- section: RFC 8461 §3.1, §8.3
-- by: scan
with seen as (
    select place, scan_id, domain, adopter, record_outcome from histories
),
pairs as (
    select
        o.scan_id,
        case
            when old.adopter and new.adopter then 'stayed'
            when new.adopter and old.domain is null then 'joined the list'
            when old.adopter and new.domain is null then 'left the list'
            when new.adopter and old.record_outcome = 'absent' then 'adopted'
            when old.adopter and new.record_outcome = 'absent' then 'removed'
            when new.adopter then 'not measured before'
            when old.adopter then 'not measured now'
        end as change
    from seen old
    full join seen new on new.domain = old.domain and new.place = old.place + 1
    join scan_order o on o.place = coalesce(new.place, old.place + 1)
    where o.place > 0
),
counted as (
    select scan_id, change, count(*) as n
    from pairs
    where change is not null
    group by all
)
select scan_id, change, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from (select *, sum(n) over (partition by scan_id)::bigint as of_n from counted)
order by scan_id, n desc, change
