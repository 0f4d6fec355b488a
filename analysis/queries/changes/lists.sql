-- question: How many domains are on both lists, and how many on one of them only?
-- grain: one row
-- denominator: of_n counts the domains on the list of either scan
-- needs: change_counts
select
    coalesce(sum(n) filter (old_state <> 'not listed' and new_state <> 'not listed'), 0)::bigint
        as on_both,
    coalesce(sum(n) filter (old_state = 'not listed'), 0)::bigint as appeared,
    coalesce(sum(n) filter (new_state = 'not listed'), 0)::bigint as disappeared,
    coalesce(sum(n), 0)::bigint as of_n
from change_counts
where old_state is not null and new_state is not null
