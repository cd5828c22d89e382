"""Resource claims: units as the API server is told of them, what of a claim is ours, and what its pods are given."""
