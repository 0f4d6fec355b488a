-- question: Which domains of a scan publish anything of MTA-STS or TLSRPT?
-- grain: domain that has a record at either name, right or wrong, a policy without a record, or an
--   alias at _mta-sts that leads to none
-- needs: $scan
select domain, null::bigint as place, domain as listed
from judged
where scan_id = $scan
    and (adopter
        or tlsrpt_outcome in ('valid', 'multiple', 'syntax')
        or list_has_any(findings, ['ph-orphan', 'txt-cname-dangling']))
