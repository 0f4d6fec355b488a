-- question: How much does the managing entity depend on where the thresholds lie?
-- grain: scan, endpoint, third_party_from and self_up_to (how many must share a name or address to be
--   a third party's, and how few to be one's own), lists (whether the reference lists and the
--   domain's own name have a say, or the counts alone), entity
-- denominator: adopters with a known host of that kind
-- section: the 2025 study's rule of thumb, of which 50, 5 and the lists are the defaults here
-- by: scan
with sizes as (
    select scan_id, endpoint, own, known, one, size, count(*) as domains
    from parties
    group by all
),
thresholds as (
    select *
    from (values (10), (20), (50), (100), (500)) high (third_party_from)
    cross join (values (1), (5), (9)) low (self_up_to)
    cross join (values (true), (false)) said (lists)
),
classed as (
    select
        scan_id, endpoint, third_party_from, self_up_to, lists,
        managing_entity(
            own and lists, known and lists, one and lists, size, third_party_from, self_up_to
        ).entity as entity,
        sum(domains)::bigint as n
    from sizes
    cross join thresholds
    group by all
),
counted as (
    select
        *,
        sum(n) over (
            partition by scan_id, endpoint, third_party_from, self_up_to, lists
        )::bigint as of_n
    from classed
)
select
    scan_id, endpoint, third_party_from, self_up_to, lists, entity,
    n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from counted
order by scan_id, endpoint desc, lists desc, third_party_from, self_up_to, n desc, entity
