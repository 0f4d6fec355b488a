-- question: How much lies in the hands of the largest policy hosts and MX operators?
-- grain: scan, stratum, endpoint, largest (how many of the largest parties are counted together);
--   hhi is the Herfindahl-Hirschman index of the whole, from 0 to 1, over that many parties
-- denominator: adopters with a known host of that kind; left_out counts the others.  Who has an MX host
--   below its own name is a party of its own; all others that share a name or an address are one,
--   however few they are
-- section: RFC 8461 §8.2; RFC 5321 §5.1; reference/policy_hosts.csv, mail_operators.csv
-- by: scan, tld, rank
with placed as (
    select
        scan_id, stratum, e.endpoint, count(*) as n,
        -- The domain itself where the host lies below its name; a space keeps it from a party's name.
        if(basis = 'below its own name', ' ' || domain,
            coalesce(party, address, ' ' || domain)) as party
    from (from subjects where adopter)
    join managing_entities e using (scan_id, domain)
    where basis <> 'no name or address known'
    group by all
),
ranked as (
    select
        *,
        row_number() over (partition by scan_id, stratum, endpoint order by n desc, party) as place
    from placed
),
totals as (
    select
        scan_id, stratum, endpoint, sum(n)::bigint as of_n, count(*) as parties,
        sum(n * n) / sum(n) ** 2 as hhi
    from ranked
    group by all
),
population as (
    select scan_id, stratum, count(*) as adopters from subjects where adopter group by all
),
counted as (
    select
        scan_id, stratum, endpoint, largest, hhi, parties, of_n,
        sum(n) filter (place <= largest)::bigint as n
    from ranked
    join totals using (scan_id, stratum, endpoint)
    cross join (values (1), (3), (5), (10), (50)) k (largest)
    where place <= 50
    group by all
)
select
    scan_id, stratum, endpoint, largest, parties, hhi, n, of_n, unnest(wilson(n, of_n)),
    adopters - of_n as left_out
from counted
join population using (scan_id, stratum)
order by scan_id, stratum, endpoint desc, largest
