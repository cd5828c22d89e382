"""The guest's PCI tree: what is in it, and what libvirt will make of what has no address yet."""
