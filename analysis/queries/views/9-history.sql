-- What became of a domain from scan to scan.
--
-- Only domains that publish a record in some scan of the archive have a history here; they are few,
-- and everything below is asked of them.  A scan before is the last one that lists the domain, so an
-- archive may alternate between lists.

create view ever_adopters as
select distinct domain from adopters semi join scan_order using (scan_id);

create view ever_judged as
from judged semi join ever_adopters using (domain);

-- One row per scan and domain with a history, whether it has a record in that scan or not.
--   nth    which of the domain's own rows it is, from 1
--   phase  its state (6-verdicts.sql), in which a domain without a record is "not yet" an adopter, or
--          has "removed" its record
create view histories as
select
    s.*, o.place, o.started_at,
    row_number() over history as nth,
    case
        when state <> 'none' then state
        when bool_or(adopter) over history then 'removed'
        else 'not yet'
    end as phase
from states_of('ever_judged') s
join scan_order o using (scan_id)
window history as (partition by domain order by o.place rows unbounded preceding);

-- Each fault of a domain in each scan, and mode testing, which is meant to pass as a fault is:
--   in    it is there
--   out   it was looked for and is not there; nor is it where the record has been taken away
--   open  nobody could see: something was not measured, or an earlier stage failed
-- Fetching a policy goes through DNS, TCP, TLS and HTTP before its text is read, so a failure says
-- that the stages before it are sound and nothing of those behind it.
create view fault_states as
with stages as (
    select
        *,
        list_position(['dns', 'tcp', 'tls', 'http', 'syntax', 'valid'], policy_outcome) as stage
    from histories
),
told as (
    select
        scan_id, domain, nth, started_at, adopter, record_outcome = 'absent' as without_record,
        unnest([
            {fault: 'record', status: case
                when record_outcome = 'valid' then 'out' when adopter then 'in' else 'open' end},
            {fault: 'policy: dns', status: fault_of_stage(stage, 1)},
            {fault: 'policy: tcp', status: fault_of_stage(stage, 2)},
            {fault: 'policy: tls', status: fault_of_stage(stage, 3)},
            {fault: 'policy: http', status: fault_of_stage(stage, 4)},
            {fault: 'policy: syntax', status: fault_of_stage(stage, 5)},
            {fault: 'certificate', status: case
                when list_contains(findings, 'mx-cert-any') then 'in'
                when mx_total is null or list_contains(findings, 'mx-unknown') then 'open'
                else 'out' end},
            {fault: 'pattern', status: case
                when policy_outcome <> 'valid' or mx_total is null then 'open'
                when mode <> 'none' and mx_covered < mx_total then 'in'
                else 'out' end},
            {fault: 'testing', status: case
                when policy_outcome <> 'valid' then 'open'
                when mode = 'testing' then 'in'
                else 'out' end}
        ], recursive := true)
    from stages
)
select
    scan_id, domain, nth, started_at, adopter, fault,
    if(without_record, 'out', status) as status
from told;

-- How long a fault stayed: one row per domain, fault and unbroken run of it.  What nobody could see
-- in between does not end a run.
--   from_nth   the row of the domain's history in which it was first seen
--   seen_new   the row before did not have it, so that its beginning is known
--   steps      after so many scans it was gone, or else was last seen
--   ended      it was seen to be gone
create view fault_runs as
with counted as (
    select
        *, count(*) filter (status = 'out') over (partition by domain, fault order by nth) as outs
    from fault_states
),
runs as (
    select
        domain, fault, outs,
        min(nth) filter (status = 'in') as from_nth,
        max(nth) filter (status = 'in') as last_nth,
        min(nth) filter (status = 'out') as out_nth
    from counted
    group by all
)
select
    domain, fault, from_nth, outs > 0 as seen_new,
    coalesce(ended_nth, last_nth) - from_nth as steps,
    ended_nth is not null as ended
from (
    select *, lead(out_nth) over (partition by domain, fault order by outs) as ended_nth from runs
)
where from_nth is not null;
