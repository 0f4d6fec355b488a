-- question: How many domains went from which state to which?
-- grain: state in the older scan, state in the newer scan; "all" in either is their sum
-- denominator: the domains on the list of either scan: the row that is "all" twice
-- needs: change_counts
select
    coalesce(old_state::varchar, 'all') as old_state,
    coalesce(new_state::varchar, 'all') as new_state,
    n
from change_counts
order by change_counts.old_state nulls last, change_counts.new_state nulls last
