-- question: Which findings of a domain appeared, were fixed, or went for another reason?
-- grain: domain, finding of either scan
--
-- change, first match:
--   listed       the domain is only on the newer list
--   unlisted     the domain is only on the older list
--   stays        both scans have it
--   removed      gone, with the domain's MTA-STS record
--   unknown      the scan that lacks it did not get to see what it is about
--   appeared     only the newer scan has it
--   fixed        only the older scan has it
-- needs: change_domains
with either as (
    select *, unnest(list_distinct(list_concat(old_findings, new_findings))) as finding
    from change_domains
),
compared as (
    select
        e.*, p.stage,
        coalesce(list_contains(old_findings, e.finding), false) as was_there,
        coalesce(list_contains(new_findings, e.finding), false) as is_there
    from either e
    left join reference_finding_places p on p.finding = e.finding
)
select
    domain, finding, old_state, new_state,
    case
        when old_state = 'not listed' then 'listed'
        when new_state = 'not listed' then 'unlisted'
        when was_there and is_there then 'stays'
        when was_there and new_state = 'removed' then 'removed'
        when was_there and not was_looked_at(stage, new_seen.record, new_seen.policy,
            new_seen.mx_total, new_findings, new_seen.dane, new_seen.tlsrpt) then 'unknown'
        when was_there then 'fixed'
        -- A finding of a record that was not there before could not have been told before.
        when old_state <> 'none' and not was_looked_at(stage, old_seen.record, old_seen.policy,
            old_seen.mx_total, old_findings, old_seen.dane, old_seen.tlsrpt) then 'unknown'
        else 'appeared'
    end as change
from compared
