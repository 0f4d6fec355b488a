-- What a scan since an earlier one (scan --since) knows of each conversation, and from where: one row
-- for each target of such a scan, with its last attempt and how it was judged.
--   carried_from  the scan that observed it; null when this scan asked
--   due           why it was asked; null when it was carried over, or skipped by our own rules

create view carrying_scans as
select distinct scan_id
from (
    select scan_id, carried_from, due from policy_fetches
    union all
    select scan_id, carried_from, due from starttls_sessions
)
where carried_from is not null or due is not null;

create view carried_conversations as
with fetches as (
    select scan_id, domain, address, carried_from, due, started_at
    from policy_fetches
    semi join carrying_scans using (scan_id)
    qualify row_number() over (partition by scan_id, domain, address order by attempt desc) = 1
),
sessions as (
    select scan_id, host, address, carried_from, due, started_at
    from starttls_sessions
    semi join carrying_scans using (scan_id)
    qualify row_number() over (partition by scan_id, host, address order by attempt desc) = 1
)
select
    scan_id, 'policy fetches' as probe, carried_from, due, started_at,
    case outcome when 'valid' then 'right' when 'unmeasured' then 'unmeasured' else 'wrong' end as found
from fetches
join (select scan_id, domain, address, outcome from policy_verdicts) using (scan_id, domain, address)
union all
select
    scan_id, 'SMTP sessions', carried_from, due, started_at,
    case outcome when 'pass' then 'right' when 'unmeasured' then 'unmeasured' else 'wrong' end
from sessions
join (select scan_id, host, address, outcome from mail_verdicts) using (scan_id, host, address);
