-- question: Do patterns miss MX hosts more often where one firm serves the policy and another the mail?
-- grain: scan, stratum, responsibility: both with a third party, which is one firm, two firms, or of the
--   policy not named; only the policy; only the mail; neither; or unclassified
-- denominator: adopters of that class with a valid policy in mode testing or enforce and a known MX
--   host; n are those of whom the policy leaves out an MX host, left_out the rest of the class
-- section: RFC 8461 §4.1, §8.2; the 2025 study's split responsibility; reference/firms.csv
-- by: scan, tld, rank
with named as (
    select
        scan_id, domain, endpoint, entity,
        coalesce(firm, party) as firm,
        -- The study's test of equality: the label before the ending, as in tutanota.de and .com.
        split_part(coalesce(firm, party), '.', 1) as label
    from managing_entities
    left join reference_firms on name = party
),
paired as (
    select
        p.scan_id, p.domain,
        case
            when p.entity = 'unclassified' or coalesce(m.entity, 'unclassified') = 'unclassified'
                then 'unclassified'
            when p.entity = 'self' and m.entity = 'self' then 'neither'
            when m.entity = 'self' then 'only the policy'
            when p.entity = 'self' then 'only the mail'
            when p.firm is null then 'both, policy host unnamed'
            when p.firm = m.firm or p.label = m.label then 'both, one firm'
            else 'both, two firms'
        end as responsibility
    from (from named where endpoint = 'policy host') p
    left join (from named where endpoint = 'MX host') m using (scan_id, domain)
),
counted as (
    select
        scan_id, stratum, responsibility,
        count(*) filter (comparable and mx_covered < mx_total) as n,
        count(*) filter (comparable) as of_n,
        count(*) filter (not comparable) as left_out
    from (
        select
            *,
            coalesce(
                policy_outcome = 'valid' and mode in ('testing', 'enforce') and mx_total > 0, false
            ) as comparable
        from subjects
        where adopter
    )
    join paired using (scan_id, domain)
    group by all
)
select scan_id, stratum, responsibility, n, of_n, unnest(wilson(n, of_n)), left_out
from counted
order by scan_id, stratum, of_n desc, responsibility
