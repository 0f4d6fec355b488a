-- What a sender that has met a domain before still believes: RFC 8461 section 5.1 replayed over the
-- scans of the archive, one message to each domain in each scan.
--
-- Two senders, as the RFC allows both:
--   refreshes         fetches the policy again in every scan, as section 3.3 says it should
--   waits for the id  fetches it only when it holds none, or when the record shows another id
--
-- Both keep a policy for its max_age from the scan that fetched it, and go on with it when the record
-- or the policy is gone or bad (section 3.3).  The time of a scan is the moment at which it began.
-- Where a kept policy would refuse a message, section 5.1 has the sender look for a new one first;
-- the senders here have already looked, in that very scan.

create view sender_caches as
with recursive seen as materialized (
    select
        domain, place,
        if(record_outcome = 'valid' and policy_outcome = 'valid', {
            id: record_id, mode: mode, mx: policy_mx, place: place,
            until: epoch(started_at) + max_age
        }, null) as served
    from histories
),
scans as materialized (
    select place, scan_id, epoch(started_at) as time from scan_order
),
caches as (
    select domain, sender, -1::bigint as place, null::struct(
        id varchar, mode varchar, mx varchar[], place bigint, until double
    ) as held
    from ever_adopters
    cross join (values ('refreshes'), ('waits for the id')) s (sender)
    union all
    select
        k.domain, k.sender, k.place,
        case
            when served is null then kept
            when sender = 'waits for the id' and served.id = kept.id then kept
            else served
        end as held
    from (
        select
            c.domain, c.sender, n.place,
            if((c.held).until > n.time, c.held, null) as kept
        from caches c
        join scans n on n.place = c.place + 1
    ) k
    left join seen s on s.domain = k.domain and s.place = k.place
)
select o.scan_id, c.domain, c.sender, c.place, c.held
from caches c
join scans o using (place)
where c.held is not null;

-- What becomes of the message of each sender that holds a policy, to a domain on the list:
--   delivered   not in mode enforce, or some MX host passes under it
--   refused     every MX host fails under it: not covered, or seen to fail
--   no mail     there is nothing to deliver to
--   unmeasured  nobody can tell
-- A policy of this very scan has been judged with it, by the rules of the crawler; a policy of an
-- earlier scan is laid over today's MX hosts here.
create view sender_deliveries as
with kept as (
    select k.scan_id, k.domain, k.sender, k.place, k.held, h.sender_outcome, h.mx_total
    from sender_caches k
    join histories h using (scan_id, domain)
),
old as (
    from kept where held.place < place and held.mode = 'enforce'
),
hosts as (
    select scan_id, domain, unnest(if(implicit_mx, [domain], [mx.host for mx in hosts])) as host
    from mx_lookups
    semi join old using (scan_id, domain)
    where not null_mx and (implicit_mx or len(hosts) > 0)
),
measured as (
    select
        scan_id, host,
        bool_or(outcome = 'pass') as passes,
        bool_or(outcome not in ('pass', 'unmeasured')) as fails
    from mail_verdicts
    semi join hosts using (scan_id, host)
    group by all
),
laid_over as (
    select
        o.scan_id, o.domain, o.sender,
        bool_or(covered and coalesce(m.passes, false)) as some_pass,
        bool_and(not covered or (coalesce(m.fails, false) and not m.passes)) as all_fail
    from (
        select
            o.*, x.host,
            len(list_filter(o.held.mx, lambda pattern: covers(pattern, x.host))) > 0 as covered
        from old o
        join hosts x using (scan_id, domain)
        where x.host <> ''
    ) o
    left join measured m on m.scan_id = o.scan_id and m.host = o.host
    group by all
)
select
    k.scan_id, k.domain, k.sender, k.held, k.place - k.held.place as scans_ago, k.sender_outcome,
    case
        when held.mode <> 'enforce' then 'delivered'
        when held.place = k.place then
            case sender_outcome
                when 'refused' then 'refused'
                when 'no-mail' then 'no mail'
                when 'unmeasured' then 'unmeasured'
                else 'delivered'
            end
        when mx_total is null then 'unmeasured'
        when mx_total = 0 then 'no mail'
        when some_pass then 'delivered'
        when all_fail then 'refused'
        else 'unmeasured'
    end as delivery
from kept k
left join laid_over l using (scan_id, domain, sender);
