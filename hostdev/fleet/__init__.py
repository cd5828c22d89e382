"""Many recorded machines at once: one file a node, read where they are needed, and never all together."""
