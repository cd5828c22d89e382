"""Pictures of a machine's PCI tree: as text, as SVG, as DOT."""
