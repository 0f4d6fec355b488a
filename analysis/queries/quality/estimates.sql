-- question: What are the shares of all domains, where a scan looked only at a part of them?
-- grain: scan, stratum ("(all)" puts them together), measure; estimate with its 95 % interval is for all
--   domains of the population, at_least and at_most bound it where what could not be measured, or was
--   not looked at in any part, is taken for no and for yes.  DANE is that TLSA records match at one MX
--   host at least; protected is that, or a sender outcome of protected or degraded
-- denominator: domains of the list, or what --population says of each stratum (population).  of_n were
--   drawn without looking at them, or are known in full, and were measured, n of them are so, each
--   counted as one; left_out counts the rest of the population
-- section: Wilson 1927; Newcombe 1998; Zou and Donner 2008; Cochran 1977 §2.6, §5.4
-- by: scan, tld, rank, mx-operator
with classed as (
    select
        s.scan_id, s.stratum::varchar as stratum, s.adopter,
        drawn(o.scope, o.sample_rate, o.seed, s.domain) as drawn,
        case
            when s.record_outcome = 'unmeasured' then 'open'
            else if(s.adopter, 'yes', 'no')
        end as adopted,
        case tlsrpt_outcome when 'unmeasured' then 'open' when 'valid' then 'yes' else 'no' end as reports,
        case
            when s.dane_outcome in ('match', 'partial') then 'yes'
            when coalesce(s.dane_outcome, 'unmeasured') = 'unmeasured' then 'open'
            else 'no'
        end as dane,
        case
            when dane = 'yes' or s.sender_outcome in ('protected', 'degraded') then 'yes'
            when dane = 'open' or s.sender_outcome = 'unmeasured' then 'open'
            else 'no'
        end as protected,
        case
            when list_contains(s.findings, 'mx-cert-any') then 'yes'
            when mail_open(s.mx_total, s.findings) then 'open'
            else 'no'
        end as bad_certificate,
        case
            when list_contains(s.findings, 'mx-no-starttls') then 'yes'
            when mail_open(s.mx_total, s.findings) then 'open'
            else 'no'
        end as no_starttls,
        count(*) as domains
    from subjects s
    join scans o using (scan_id)
    group by all
),
-- Where the population is the list, the MX hosts of the adopters are a part that is known in full.
strata as (
    select c.*, p.domains as stated, adopter and stated is null as in_full
    from classed c
    left join population p using (stratum)
    where stated is not null or not exists (from population)
),
measures as (
    select
        scan_id, stratum, stated, in_full, domains, drawn,
        unnest([
            {place: 1, measure: 'adopted', it: adopted, mail: false},
            {place: 2, measure: 'asks for TLS reports', it: reports, mail: false},
            {place: 3, measure: 'DANE', it: dane, mail: true},
            {place: 4, measure: 'protected by MTA-STS or DANE', it: protected, mail: true},
            {place: 5, measure: 'an MX certificate fails', it: bad_certificate, mail: true},
            {place: 6, measure: 'an MX host without STARTTLS', it: no_starttls, mail: true}
        ], recursive := true)
    from strata
),
parts as (
    select
        scan_id, stratum, in_full, place, measure,
        coalesce(any_value(stated), sum(domains))::bigint as population,
        coalesce(sum(domains) filter (seen and it = 'yes'), 0)::bigint as n,
        coalesce(sum(domains) filter (seen and it <> 'open'), 0)::bigint as of_n,
        coalesce(sum(domains) filter (seen), 0)::bigint as looked_at
    from (
        select
            * exclude in_full, mail and in_full as in_full, in_full or drawn or not mail as seen
        from measures
    )
    group by scan_id, stratum, in_full, place, measure
    union all
    -- A stratum of the population of which the list has no domain.
    select m.scan_id, p.stratum, false, m.place, m.measure, p.domains, 0, 0, 0
    from population p
    cross join (select distinct scan_id, place, measure from measures) m
    where (m.scan_id, p.stratum) not in (select scan_id, stratum from strata)
),
parted as (
    select
        *,
        if(of_n > 0, n / of_n::double, null) as share,
        share - wilson_side_of(share, of_n, population, -1) as below,
        wilson_side_of(share, of_n, population, 1) - share as above,
        if(looked_at > 0, n / looked_at::double, 0) as least,
        if(looked_at > 0, (n + looked_at - of_n) / looked_at::double, 1) as most
    from parts
),
summed as (
    select
        scan_id, coalesce(stratum, '(all)') as stratum, place, measure,
        sum(population)::bigint as population, sum(looked_at)::bigint as looked_at,
        sum(n)::bigint as n, sum(of_n)::bigint as of_n,
        -- In a fixed order, because the last digit of a sum depends on it.
        sum(population * share order by stratum, in_full) / sum(population) as mean,
        sqrt(sum((population * below) ** 2 order by stratum, in_full)) / sum(population) as below,
        sqrt(sum((population * above) ** 2 order by stratum, in_full)) / sum(population) as above,
        sum(population * least order by stratum, in_full) / sum(population) as at_least,
        sum(population * most order by stratum, in_full) / sum(population) as at_most,
        -- A part that nobody has looked at leaves the whole open.
        bool_and(of_n > 0) as complete
    from parted
    group by grouping sets ((scan_id, stratum, place, measure), (scan_id, place, measure))
)
select
    scan_id, stratum, measure, population, looked_at,
    if(complete, mean, null) as estimate,
    if(complete, mean - below, null) as estimate_low,
    if(complete, mean + above, null) as estimate_high,
    at_least, at_most, n, of_n, unnest(wilson(n, of_n)), population - of_n as left_out
from summed
-- One stratum of all domains needs nothing to put it together.
where stratum <> '(all)' or (select count(distinct stratum) from parts) > 1
order by scan_id, place, stratum <> '(all)', population desc, stratum
