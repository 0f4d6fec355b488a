-- question: Which domains have a finding in either scan, or another state than before?
-- grain: domain, the quiet ones left out
-- needs: $old, $new
from scans_compared($old, $new)
where old_state <> new_state or len(old_findings) > 0 or len(new_findings) > 0
