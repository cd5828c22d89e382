"""Device plugins of kubelet: their sockets, their five calls, and how kubelet gets to know them."""
