-- Every domain of a scan as it was judged, with what the questions mean by "adopter" and "right".
--
-- adopter: somebody published a record, right or wrong.  The 2025 study counts its adopters so.  Said by
-- the two outcomes that are none, because DuckDB reads the other columns of these few rows alone then;
-- of a list of those that are it reads every row whole.
--
-- health, of an adopter, first match:
--   misconfigured  a component is bad, as the 2025 study counts (the judged column)
--   refusing       nothing of that, but an MX host that a sender under this policy would not use:
--                  no STARTTLS, a failed handshake, TLS below 1.2.  The study leaves these out.
--   unmeasured     nothing wrong was found, but not everything could be looked at
--   right          everything was looked at and nothing of that is wrong; an MX host that fails at one
--                  address and passes at another can be used, and has a finding
create view judged as
select
    *,
    record_outcome not in ('absent', 'unmeasured') as adopter,
    case
        when record_outcome in ('absent', 'unmeasured') then null
        when misconfigured then 'misconfigured'
        when mode <> 'none' and mx_failing > 0 then 'refusing'
        when policy_outcome = 'unmeasured' or mx_total is null then 'unmeasured'
        when mode <> 'none' and mx_unmeasured > 0 then 'unmeasured'
        else 'right'
    end as health
from assessments;

create view adopters as
select * from judged where adopter;
