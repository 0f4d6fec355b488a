-- The last attempt at each target.  Every attempt is a row; only the last one was judged.

create view latest_txt_lookups as
from txt_lookups
qualify row_number() over (partition by scan_id, domain, kind order by attempt desc) = 1;

create view latest_mx_lookups as
from mx_lookups
qualify row_number() over (partition by scan_id, domain order by attempt desc) = 1;

create view latest_address_lookups as
from address_lookups
qualify row_number() over (partition by scan_id, host order by attempt desc) = 1;

create view latest_tlsa_lookups as
from tlsa_lookups
qualify row_number() over (partition by scan_id, host order by attempt desc) = 1;

create view latest_policy_fetches as
from policy_fetches
qualify row_number() over (partition by scan_id, domain, address order by attempt desc) = 1;

create view latest_starttls_sessions as
from starttls_sessions
qualify row_number() over (partition by scan_id, host, address order by attempt desc) = 1;
