-- question: Do domains take MTA-STS down as RFC 8461 asks: first mode none, and then wait?
-- grain: scan, stratum, way: after mode none, and after it too early, when a policy seen before mode
--   none could still be kept by a sender; abruptly from enforce or testing; abruptly but with its last
--   valid policy expired; or no valid policy was ever seen
-- denominator: domains that had a record in the last scan before that lists them and could measure it,
--   and have none now
-- section: RFC 8461 §8.3
-- by: scan, tld, rank, mx-operator
with told as (
    select
        scan_id, domain, record_outcome, started_at,
        last_value(if(record_outcome = 'unmeasured', null, adopter) ignore nulls)
            over earlier as had_record,
        last_value(if(policy_outcome = 'valid' and record_outcome = 'valid', mode, null) ignore nulls)
            over earlier as last_mode,
        max(if(policy_outcome = 'valid' and record_outcome = 'valid' and mode <> 'none',
            epoch(started_at) + max_age, null)) over earlier as kept_until
    from histories
    window earlier as (
        partition by domain order by place rows between unbounded preceding and 1 preceding
    )
),
counted as (
    select
        scan_id, stratum,
        case
            when last_mode is null then 'no valid policy seen'
            when last_mode = 'none' and coalesce(kept_until > epoch(started_at), false)
                then 'after mode none, too early'
            when last_mode = 'none' then 'after mode none'
            when kept_until <= epoch(started_at) then 'abruptly, all expired'
            else 'abruptly, from ' || last_mode
        end as way,
        count(*) as n
    from subjects
    join (from told where had_record and record_outcome = 'absent') using (scan_id, domain)
    group by all
)
select scan_id, stratum, way, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from (select *, sum(n) over (partition by scan_id, stratum)::bigint as of_n from counted)
order by scan_id, stratum, n desc, way
