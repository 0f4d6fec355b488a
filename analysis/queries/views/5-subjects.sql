-- The population of a question, grouped: every judged domain with its stratum.  `--by` chooses
-- which of these the name "subjects" stands for, so that a question is written once and pays only
-- for the join it needs.  Each domain is in exactly one stratum.

create view subjects_by_scan as
select *, 'all' as stratum from judged;

-- The rightmost label, as in domains.tld, without a join over every domain.
create view subjects_by_tld as
select *, split_part(domain, '.', -1) as stratum from judged;

create view subjects_by_rank as
select j.*, rank_band(r.rank) as stratum
from judged j
left join (select scan_id, domain, rank from domains where rank is not null) r
    using (scan_id, domain);

-- Adopters are joined with the MX hosts of adopters: a question about these alone looks at no others.
create macro mx_operator_stratum(operator, mx_total) as
    coalesce(operator, if(mx_total = 0, '(no mail)', '(no MX known)'));
create view subjects_by_mx_operator as
select j.*, mx_operator_stratum(m.operator, j.mx_total) as stratum
from judged j
left join adopter_mx_operator m using (scan_id, domain)
where j.adopter
union all
select j.*, mx_operator_stratum(m.operator, j.mx_total)
from judged j
left join domain_mx_operator m using (scan_id, domain)
where not j.adopter;

create view subjects_by_policy_host as
select j.*, coalesce(p.provider, '(no record)') as stratum
from judged j
left join domain_policy_host p using (scan_id, domain);

-- Everything about a domain in one row, for `sts-report sql` and for one's own DuckDB.
create view domain_posture as
select
    j.*, d.rank, rank_band(d.rank) as rank_band, d.list, d.tld, d.registrable_domain, d.tags,
    m.host as first_mx, m.operator as mx_operator, p.provider as policy_provider
from judged j
left join domains d using (scan_id, domain)
left join domain_mx_operator m using (scan_id, domain)
left join domain_policy_host p using (scan_id, domain);
