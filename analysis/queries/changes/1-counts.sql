-- question: How many domains went from which state to which?
-- grain: state in the older scan, state in the newer scan; null is all of them
-- denominator: the domains on the list of either scan
-- needs: $old, $new
select old_state, new_state, count(*) as n
from scans_compared($old, $new)
group by cube (old_state, new_state)
