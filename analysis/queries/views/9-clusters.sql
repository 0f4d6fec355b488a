-- What adopters share, for one administrator or one template can move a headline by itself: in the
-- 2025 study one registrar's customers did, by eight points.
--
-- One row per adopter and thing that it shares.  A domain with several addresses shares each; what
-- nobody else has is a cluster of one.
--   policy body     the octets that its policy host answered with, whatever their status
--   policy address  an address of its policy host
--   alias target    the registrable name of the first alias that leads away from the domain
--   MX operator     who runs the MX host that a sender tries first, where a name tells
create view cluster_members as
select scan_id, domain, 'policy body' as shared, body_sha256 as cluster
from policy_answers
where body_sha256 is not null
union all
select scan_id, domain, 'policy address', address
from policy_host_addresses
union all
select scan_id, domain, 'alias target', operator_name(alias)
from domain_policy_host
where alias is not null
union all
select scan_id, domain, 'MX operator', operator
from adopter_mx_operator
where not starts_with(operator, '(');

-- The largest cluster of each adopter, of each kind: the row of an adopter that shares nothing of
-- the kind is missing.
create view cluster_sizes as
select scan_id, domain, shared, max(size) as size
from (
    select scan_id, domain, shared, count(*) over (partition by scan_id, shared, cluster) as size
    from cluster_members
)
group by all;
