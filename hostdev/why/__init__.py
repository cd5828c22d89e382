"""Why a VM does not start: from what a cluster tells of it to an ordered list of checks."""
