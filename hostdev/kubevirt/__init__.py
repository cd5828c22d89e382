"""What KubeVirt makes of a VM, by release: the domain of the first pass, the passes after it, what structs keep."""
