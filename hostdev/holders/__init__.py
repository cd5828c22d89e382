"""Who holds a device: kubelet, pods, processes."""
