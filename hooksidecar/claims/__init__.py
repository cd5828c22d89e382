"""Devices by resource claims: a driver of dynamic resource allocation that knows nothing of the agent."""
