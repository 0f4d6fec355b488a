-- question: Do the shares differ where popular domains count for more?
-- grain: scan, stratum, measure; weighted_share counts each domain by 1 / rank, with its interval over
--   effective_n domains, which is how many equal ones would tell as much; share counts each as one
-- denominator: named in of_what, of the domains with a rank; left_out counts those without one, and for
--   the measure adopted those whose record was not measured
-- section: Kish 1965; Zipf's law; the 2025 study's popularity plot
-- by: scan, tld, mx-operator
with classed as (
    select
        scan_id, stratum, adopter, record_outcome <> 'unmeasured' as measured,
        policy_outcome, mode, health, sender_outcome,
        count(rank) as domains, count(*) filter (rank is null) as unranked,
        -- As decimals, whose sum is the same in whatever order they are added.
        sum(rank_weight(rank)::decimal(38, 18)) as weight,
        sum((rank_weight(rank) ** 2)::decimal(38, 18)) as squares
    from subjects
    left join (select scan_id, domain, rank from domains where rank > 0) using (scan_id, domain)
    group by all
),
measures as (
    select
        scan_id, stratum, domains, unranked, weight, squares,
        unnest([
            {place: 1, measure: 'adopted', of_what: 'domains measured', base: true,
                known: measured, it: adopter},
            {place: 2, measure: 'valid policy', of_what: 'adopters', base: adopter,
                known: true, it: policy_outcome = 'valid'},
            {place: 3, measure: 'enforcing', of_what: 'adopters', base: adopter,
                known: true, it: coalesce(mode = 'enforce', false)},
            {place: 4, measure: 'right', of_what: 'adopters', base: adopter,
                known: true, it: coalesce(health = 'right', false)},
            {place: 5, measure: 'misconfigured', of_what: 'adopters', base: adopter,
                known: true, it: coalesce(health = 'misconfigured', false)},
            {place: 6, measure: 'protected', of_what: 'adopters', base: adopter,
                known: true, it: sender_outcome = 'protected'},
            {place: 7, measure: 'refused', of_what: 'adopters', base: adopter,
                known: true, it: sender_outcome = 'refused'}
        ], recursive := true)
    from classed
),
counted as (
    select
        scan_id, stratum, place, measure, of_what,
        coalesce(sum(domains) filter (known and it), 0)::bigint as n,
        coalesce(sum(domains) filter (known), 0)::bigint as of_n,
        sum(unranked + if(known, 0, domains))::bigint as left_out,
        (sum(weight) filter (known))::double as total,
        coalesce(sum(weight) filter (known and it), 0)::double / total as weighted_share,
        total ** 2 / (sum(squares) filter (known))::double as effective_n
    from measures
    where base
    group by all
)
select
    scan_id, stratum, measure, of_what, weighted_share,
    if(n = 0, 0, wilson_side(weighted_share, effective_n, -1)) as weighted_low,
    if(n = of_n, 1, wilson_side(weighted_share, effective_n, 1)) as weighted_high,
    effective_n, n, of_n, unnest(wilson(n, of_n)), left_out
from counted
order by scan_id, stratum, place
