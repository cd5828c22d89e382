"""Recorded machines: the raw files that a scan reads, in one TOML file that can be reviewed and scanned again."""
