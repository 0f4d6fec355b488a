-- What a finding weighs, and what a domain publishes, in one word each.
--
-- A severity's weight orders findings from what stops mail to what is only worth knowing; a
-- finding that its scan's catalogue does not describe comes last.  A domain is called broken when
-- one of its findings has a severity of which senders refuse mail or find no policy, or when that
-- is what a sender does with it, in every command that says so.  Something that was not measured
-- breaks nothing.
create macro severity_weight(severity) as
    coalesce(
        list_position(['refused', 'no-policy', 'warning', 'unmeasured', 'note'], severity), 6
    );
create macro breaks(severity) as severity_weight(severity) <= 2;
create macro breaks_delivery(sender_outcome) as sender_outcome in ('refused', 'fail-open');

-- How a domain fares, the gravest first, so that ORDER BY follows it.
create type customer_verdict as enum (
    'broken', 'warning', 'unmeasured', 'not-in-scan', 'absent', 'fine'
);

-- One row per adopter that has a finding of its scan's catalogue that breaks it.
create view broken_adopters as
select scan_id, domain
from (select scan_id, domain, unnest(findings) as id from adopters)
semi join (from findings_catalogue where breaks(severity)) using (scan_id, id)
group by all;

-- One row per judged domain with what it publishes, first match:
--   unmeasured  its record, or the policy behind it, could not be measured
--   none        it has no record
--   broken      it has a record, and a finding that breaks it
--   enforce, testing, off   the mode of its valid policy; off is mode none
create macro states_of(rows) as table
select
    j.*,
    case
        when record_outcome = 'unmeasured' then 'unmeasured'
        when not adopter then 'none'
        when b.domain is not null or breaks_delivery(sender_outcome) then 'broken'
        when mode = 'none' then 'off'
        else coalesce(mode, 'unmeasured')
    end as state
from query_table(rows) j
left join broken_adopters b using (scan_id, domain);
create view domain_states as from states_of('judged');

-- Whether a scan looked at what a finding of this stage is about (reference/finding_places.csv):
-- what was not reached is neither there nor repaired.  Fetching a policy goes through DNS, TCP, TLS
-- and HTTP before its text is read, and ends at the first stage that fails.
create macro was_looked_at(stage, record_outcome, policy_outcome, mx_total, findings, dane_outcome, tlsrpt_outcome) as
    case
        when stage = 'tlsrpt' then tlsrpt_outcome <> 'unmeasured'
        when stage = 'record' then record_outcome <> 'unmeasured'
        when stage = 'mx' then mx_total is not null
        when stage = 'hosts' then dane_outcome is not null and not list_contains(findings, 'mx-unknown')
        when stage = 'coverage' then policy_outcome = 'valid' and mx_total is not null
        else coalesce(
            list_position(['dns', 'tcp', 'tls', 'http', 'syntax', 'valid'], policy_outcome)
                >= list_position(['dns', 'tcp', 'tls', 'http', 'syntax', 'valid'], stage),
            false
        )
    end;
