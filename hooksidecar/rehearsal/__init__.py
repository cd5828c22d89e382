"""A boot without a cluster: plays virt-launcher against the real server, pass after pass."""
