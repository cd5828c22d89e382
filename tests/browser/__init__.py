"""A real browser on the page that `--html` writes."""
