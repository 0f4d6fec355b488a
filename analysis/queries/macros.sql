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

-- The interval of a sample: as many observations as would tell as much if the population had no end,
-- which is the finite-population correction n (N - 1) / (N - n).  Whoever has seen all has no error.
create macro wilson_side_of(p, n, population, side) as
    case
        when n >= population then p
        when p = if(side < 0, 0, 1) then p
        else wilson_side(p, n * (population - 1) / (population - n)::double, side)
    end;

-- Whether a domain belongs to the part of a scan that was drawn without looking at it, so that it
-- stands for all others: everybody in scope "all", the control sample in scope "sample".  This is the
-- crawler's draw, which its seed repeats.
create macro drawn(scope, rate, seed, domain) as
    case scope
        when 'all' then true
        when 'sample' then md5_number_lower(seed || domain)
            < (rate * 18446744073709551615::double)::uhugeint
        else false
    end;

-- How much a domain counts by its rank: half as much at twice the rank (Zipf's law).
create macro rank_weight(rank) as 1 / rank::double;

-- Whether one of the MX hosts could not be measured, or is not known at all.
create macro mail_open(mx_total, findings) as
    mx_total is null or list_contains(findings, 'mx-unknown');

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

-- The last two labels of a name, or nothing when it has fewer.  A regular expression, because it is
-- half the price of splitting, and this runs over every MX host of a scan.
create macro last_two_labels(name) as regexp_extract(name, '[^.]+[.][^.]+$');

-- The last four labels of a name, or all of it when it has fewer: as many as the longest suffix of the
-- lists has, and more than operator_name() looks at.
create macro last_four_labels(name) as regexp_extract(name, '([^.]*[.]){0,3}[^.]*$');

-- Whether a name is a domain or lies below it.
create macro at_or_below(name, ancestor) as
    ends_with(name, ancestor)
    and (strlen(name) = strlen(ancestor)
        or substr(name, strlen(name) - strlen(ancestor), 1) = '.');

-- The name under which an operator would register: two labels, or three below a country's own
-- second level such as co.uk.  An approximation: the public suffix list stays with the crawler.
create macro operator_name(host) as
    regexp_extract(
        host,
        '[^.]+[.](ac|co|com|edu|go|gov|ne|net|or|org)[.][a-z][a-z]$|[^.]+[.][^.]+$|^[^.]+$'
    );

-- The longest pattern of a list of {pattern, ...} that a name equals or lies below; null if none.
create macro longest_suffix(name, patterns) as
    list_filter(patterns, lambda one: at_or_below(name, one.pattern))[1];

-- Whether an mx pattern covers an MX host (RFC 8461 section 4.1), both in normal form.  The crawler
-- judges the pairs of one scan, and its judgement is what the questions count.  This one is for a
-- policy of one scan and the MX hosts of another, which no single scan can judge.
create macro covers(pattern, host) as
    pattern = host
    or (starts_with(pattern, '*.') and strpos(host, '.') > 1
        and substr(pattern, 3) = substr(host, strpos(host, '.') + 1));

-- Who manages a host, by the published rule of thumb of the 2025 study: somebody whose name or
-- address serves this many domains of the scan is a third party, somebody who serves this few is
-- the domain's own administrator, and between the two one cannot tell.  The question
-- entity-sensitivity shows how much the answer hangs on these two numbers.
create macro third_party_from() as 50;
create macro self_up_to() as 5;

-- A cluster is worth naming from this many domains on.
create macro cluster_from() as 10;

-- Time left until a certificate ends.  An enum, so that ORDER BY follows it.
create type days_band as enum (
    'expired', 'under 1 week', '1 to 4 weeks', '4 to 8 weeks', '8 weeks to 90 days',
    '90 to 200 days', '200 to 398 days', '398 days and more'
);
create macro days_band(days) as
    (case
        when days < 0 then 'expired'
        when days < 7 then 'under 1 week'
        when days < 28 then '1 to 4 weeks'
        when days < 56 then '4 to 8 weeks'
        when days < 90 then '8 weeks to 90 days'
        when days < 200 then '90 to 200 days'
        when days < 398 then '200 to 398 days'
        else '398 days and more'
    end)::days_band;

-- Days from one time to another, with their fraction; no calendar of a time zone takes part.
create macro days_between(earlier, later) as (epoch(later) - epoch(earlier)) / 86400;

-- What an SMTP greeting says behind its code and the host's own name, in lower case (RFC 5321
-- section 4.2); octets that do not print are written out.
create macro greeting_text(banner) as
    lower(substr(substr(banner::varchar, 5), strpos(substr(banner::varchar, 5) || ' ', ' ')));

-- The address families of a host: what DNS has, and whether a failed look-up leaves it open.
create macro ip_families(has_ipv4, has_ipv6, open) as
    case
        when has_ipv4 and has_ipv6 then 'both'
        when coalesce(open, true) then 'unmeasured'
        when has_ipv4 then 'IPv4'
        when has_ipv6 then 'IPv6'
        else 'none'
    end;

-- What an id is made of.  RFC 8461 section 3.1 leaves that to the domain; its example is a time.
create macro id_format(id) as
    case
        when id is null then null
        when regexp_full_match(id, '(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])[Tt]?([01]\d|2[0-3])[0-5]\d([0-5]\d)?[Zz]?\d{0,6}')
            then 'date and time'
        when regexp_full_match(id, '(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])([Zz]|\d\d)?') then 'date'
        when regexp_full_match(id, '1[0-9]{9}') then 'seconds since 1970'
        when regexp_full_match(id, '1[0-9]{12}') then 'milliseconds since 1970'
        when regexp_full_match(id, '\d+') then 'another number'
        when regexp_full_match(id, '[0-9a-fA-F]{8,32}') then 'hexadecimal'
        else 'letters and digits'
    end;

-- Whether fetching the policy failed at this very stage, got past it, or did not come so far.
create macro fault_of_stage(reached, stage) as
    case when reached = stage then 'in' when reached > stage then 'out' else 'open' end;

-- How long something has lasted, or since when.  An enum, so that ORDER BY follows it.
create type span_band as enum (
    'new', 'up to 1 month', '1 to 3 months', '3 to 6 months', '6 to 12 months', '1 to 2 years',
    '2 years and more'
);
create macro span_band(days) as
    (case
        when days <= 0 then 'new'
        when days < 31 then 'up to 1 month'
        when days < 92 then '1 to 3 months'
        when days < 183 then '3 to 6 months'
        when days < 366 then '6 to 12 months'
        when days < 731 then '1 to 2 years'
        else '2 years and more'
    end)::span_band;
