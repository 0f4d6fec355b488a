-- question: What do the ids of the records look like?
-- grain: scan, stratum, format: a date and time, a date, seconds or milliseconds since 1970, another
--   number, hexadecimal, or other letters and digits
-- denominator: adopters with a valid record; left_out counts the others
-- section: RFC 8461 §3.1
-- by: scan, tld, rank, mx-operator, policy-host
with classed as (
    select scan_id, stratum, id_format(record_id) as format, count(*) as n
    from subjects
    where adopter
    group by all
),
counted as (
    select
        *,
        sum(n) filter (format is not null) over placed as of_n,
        coalesce(sum(n) filter (format is null) over placed, 0) as left_out
    from classed
    window placed as (partition by scan_id, stratum)
)
select
    scan_id, stratum, format, n, of_n::bigint as of_n,
    unnest(wilson(n, of_n)), left_out::bigint as left_out
from counted
where format is not null
order by scan_id, stratum, n desc, format
