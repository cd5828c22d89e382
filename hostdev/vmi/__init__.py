"""The VM as its author wrote it: the VMI, the annotations that ask for devices, and what can be told from both."""
