"""Who holds a device: what kubelet granted and what processes have open, joined by device and ranked by trust."""
