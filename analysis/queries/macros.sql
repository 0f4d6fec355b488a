-- What every query may say: shares with their interval, and the classes of a number or a name.

-- The share n / of_n with its Wilson score interval at 95 % (Wilson 1927), which stays inside 0 and
-- 1 and is honest for small populations and for shares near zero, where most of these shares are.
-- Null when there is nothing to take a share of.  `unnest(wilson(n, of_n))` makes three columns.
-- 1.959963984540054 is the 97.5 % point of the normal distribution.
create macro wilson_side(p, of_n, side) as
    (p + 1.959963984540054 ** 2 / (2 * of_n)
        + side * 1.959963984540054 * sqrt(p * (1 - p) / of_n + (1.959963984540054 / (2 * of_n)) ** 2))
    / (1 + 1.959963984540054 ** 2 / of_n);
create macro wilson(n, of_n) as {
    share: case when of_n > 0 then n / of_n::double end,
    low: case when of_n > 0 then if(n = 0, 0::double, wilson_side(n / of_n::double, of_n, -1)) end,
    high: case when of_n > 0 then if(n = of_n, 1::double, wilson_side(n / of_n::double, of_n, 1)) end
};

-- Popularity in decades.  An enum, so that ORDER BY follows the rank and not the alphabet.
create type rank_band as enum (
    '1 to 100', '101 to 1,000', '1,001 to 10,000', '10,001 to 100,000', '100,001 to 1,000,000',
    'beyond 1,000,000', 'no rank'
);
create macro rank_band(rank) as
    (case
        when rank is null then 'no rank'
        when rank <= 100 then '1 to 100'
        when rank <= 1000 then '101 to 1,000'
        when rank <= 10000 then '1,001 to 10,000'
        when rank <= 100000 then '10,001 to 100,000'
        when rank <= 1000000 then '100,001 to 1,000,000'
        else 'beyond 1,000,000'
    end)::rank_band;

-- How long a sender may keep a policy.  RFC 8461 section 3.2 calls weeks or more expected, and
-- caps max_age at 31,557,600 seconds.
create type age_band as enum (
    'under 1 day', '1 day to 1 week', '1 to 2 weeks', '2 weeks to 30 days', '30 to 90 days',
    '90 days to 6 months', '6 months and more'
);
create macro age_band(seconds) as
    (case
        when seconds < 86400 then 'under 1 day'
        when seconds < 604800 then '1 day to 1 week'
        when seconds < 1209600 then '1 to 2 weeks'
        when seconds < 2592000 then '2 weeks to 30 days'
        when seconds < 7776000 then '30 to 90 days'
        when seconds < 15552000 then '90 days to 6 months'
        else '6 months and more'
    end)::age_band;

-- The last k labels of a name, or the whole name when it has fewer.
create macro last_labels(name, k) as
    array_to_string(list_slice(string_split(name, '.'), -k, -1), '.');

-- Whether a name is a domain or lies below it.
create macro at_or_below(name, ancestor) as
    name = ancestor or ends_with(name, '.' || ancestor);

-- The name under which an operator would register: two labels, or three below a country's own
-- second level such as co.uk.  An approximation: the public suffix list stays with the crawler.
create macro operator_name(host) as
    last_labels(host, if(regexp_matches(host, '\.(ac|co|com|edu|go|gov|ne|net|or|org)\.[a-z]{2}$'), 3, 2));
