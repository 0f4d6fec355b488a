-- Two scans side by side: one row per domain that is on the list of either.

-- What a domain may be in one of the two, in the order in which a matrix shows it.
create type change_state as enum (
    'none', 'testing', 'enforce', 'off', 'broken', 'removed', 'unmeasured', 'not listed'
);

-- "not listed" is a state of its own; "removed" is a domain without a record that had one in the
-- older scan.
create macro scans_compared(older, newer) as table
select
    coalesce(a.domain, b.domain) as domain,
    coalesce(b.state, 'not listed')::change_state as old_state,
    (case
        when a.domain is null then 'not listed'
        when a.state = 'none' and b.adopter then 'removed'
        else a.state
    end)::change_state as new_state,
    b.findings as old_findings, a.findings as new_findings,
    {record: b.record_outcome, policy: b.policy_outcome, mx_total: b.mx_total,
        dane: b.dane_outcome, tlsrpt: b.tlsrpt_outcome} as old_seen,
    {record: a.record_outcome, policy: a.policy_outcome, mx_total: a.mx_total,
        dane: a.dane_outcome, tlsrpt: a.tlsrpt_outcome} as new_seen
from (from domain_states where scan_id = older) b
full join (from domain_states where scan_id = newer) a using (domain);
