-- question: What has become of the domains that ever published a record?
-- grain: scan, stratum, phase (enforce, testing, off, broken, removed, unmeasured)
-- denominator: domains on the list of the scan that publish a record in it or in an earlier scan of the
--   archive; unmeasured is a class of its own
-- section: RFC 8461 §5, §8.3; off is mode none, broken that senders find no policy or refuse mail
-- by: scan, tld, rank, mx-operator
with counted as (
    select scan_id, stratum, phase, count(*) as n
    from subjects
    join (
        select scan_id, domain, phase, bool_or(adopter) over sofar as adopted
        from histories
        window sofar as (partition by domain order by place rows unbounded preceding)
    ) using (scan_id, domain)
    where adopted
    group by all
)
select
    scan_id, stratum, phase, n, of_n, unnest(wilson(n, of_n)), 0 as left_out
from (select *, sum(n) over (partition by scan_id, stratum)::bigint as of_n from counted)
order by
    scan_id, stratum,
    list_position(['enforce', 'testing', 'off', 'broken', 'removed', 'unmeasured'], phase)
