"""The offer: which units kubelet is told of, by resource, and what a pod is given of them."""
