"""Objects of the cluster and a VM, made from a machine."""
