-- question: Who receives the mail of the adopters?
-- grain: scan, stratum, operator of the MX host that a sender tries first: who is on the list, or else a
--   name under which ten domains of the scan or more, adopters or not, have theirs; the host's domain
--   itself and everybody else are put together
-- denominator: adopters with a known MX host; left_out counts those without one
-- section: RFC 5321 §5.1; reference/mail_operators.csv
-- by: scan, tld, rank, policy-host
with classed as (
    select scan_id, stratum, operator, count(*) as n
    from subjects
    left join adopter_mx_operator using (scan_id, domain)
    where adopter
    group by all
),
counted as (
    select
        *,
        sum(n) filter (operator is not null) over placed as of_n,
        coalesce(sum(n) filter (operator is null) over placed, 0) as left_out
    from classed
    window placed as (partition by scan_id, stratum)
)
select
    scan_id, stratum, operator, n, of_n::bigint as of_n,
    unnest(wilson(n, of_n)), left_out::bigint as left_out
from counted
where operator is not null
order by scan_id, stratum, n desc, operator
