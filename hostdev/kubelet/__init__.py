"""What kubelet tells of a node's devices: its device manager's checkpoint, and the PodResources API."""
