"""Changes of a host's drivers and VFs: planned, proved, journalled, done, verified and undone."""
