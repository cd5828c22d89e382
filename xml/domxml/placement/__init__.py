"""Where our devices go in the guest's PCI tree, so that nothing else moves."""
