-- question: As which media type do policy hosts serve what stands at the policy's address?
-- grain: scan, stratum, media type in lower case, charset in lower case
-- denominator: adopters whose policy host answered with status 200; left_out counts the others
-- section: RFC 8461 §3.2; RFC 9110 §8.3
-- by: scan, tld, rank, mx-operator, policy-host
with classed as (
    select
        scan_id, stratum, http_status is not distinct from 200 as received,
        case
            when received then coalesce(
                nullif(lower(trim(split_part(content_type, ';', 1))), ''), '(none)'
            )
        end as media_type,
        case
            when received then nullif(trim(regexp_extract(
                lower(content_type), '; *charset *= *("[^"]*"|[^;]*)', 1
            ), ' "'), '')
        end as charset,
        count(*) as n
    from (from subjects where adopter)
    left join policy_answers using (scan_id, domain)
    group by all
),
counted as (
    select
        *,
        sum(n) filter (received) over placed as of_n,
        coalesce(sum(n) filter (not received) over placed, 0) as left_out
    from classed
    window placed as (partition by scan_id, stratum)
)
select
    scan_id, stratum, media_type, charset, n, of_n::bigint as of_n,
    unnest(wilson(n, of_n)), left_out::bigint as left_out
from counted
where received
order by scan_id, stratum, n desc, media_type, charset
