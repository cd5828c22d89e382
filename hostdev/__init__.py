"""The host's devices, who was given which, what is allowed, and the core that joins the two."""
