"""Resource claims: what of them is ours, and what their pods are given and told."""
