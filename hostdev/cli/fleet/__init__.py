"""The verbs of `passgate fleet`, one file each."""
