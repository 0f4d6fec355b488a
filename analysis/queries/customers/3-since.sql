-- question: Since which scan does a domain have each of its findings without a break?
-- grain: domain, finding of the newest scan
-- note: a scan that did not ask about the domain is passed over; one that asked and did not find
--   it, for whatever reason, is a break
-- needs: customer_findings
with history as (
    select
        a.domain, a.findings, o.scan_id, o.place,
        row_number() over (partition by a.domain order by o.place desc) as back
    from assessments a
    join scan_order o using (scan_id)
    semi join customer_findings using (domain)
),
told as (
    select domain, scan_id, place, back, unnest(findings) as id from history
),
runs as (
    select *, row_number() over (partition by domain, id order by back) as nth from told
)
select domain, id, arg_min(scan_id, place) as since
from runs
where back = nth
group by domain, id
