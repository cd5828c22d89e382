"""Devices by resource claims: a driver for dynamic resource allocation. It knows nothing of the agent."""
