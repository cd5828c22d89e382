"""The node agent: carries what kubelet granted to the pods that cannot see it."""
