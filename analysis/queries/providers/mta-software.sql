-- question: Which software greets at the MX hosts of adopters?
-- grain: scan, software, confidence (sure: it names itself; likely: its usual wording; guess: others
--   say the same; null: nothing tells)
-- denominator: distinct MX hosts of adopters that greeted with 220; left_out counts the others
-- section: RFC 5321 §4.2; reference/mta_software.csv
-- by: scan
with classed as (
    select
        scan_id, coalesce(software, '(not told)') as software, confidence, count(*) as n
    from mx_software
    group by all
),
hosts as (
    select scan_id, count(distinct host) as hosts from adopter_mx_hosts group by all
),
counted as (
    select *, sum(n) over (partition by scan_id)::bigint as of_n from classed
)
select
    scan_id, software, confidence, n, of_n, unnest(wilson(n, of_n)), hosts - of_n as left_out
from counted
join hosts using (scan_id)
order by scan_id, n desc, software, confidence
