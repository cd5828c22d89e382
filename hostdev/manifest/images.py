"""The images as the documents name them: the one place of their names."""

REGISTRY = "registry.example"
"""No image is there: to be replaced before the documents are applied."""
VERSION = "0.1.0"
HOOK = f"{REGISTRY}/passgate-hook:{VERSION}"
NODE = f"{REGISTRY}/passgate-node:{VERSION}"
DISK = f"{REGISTRY}/disk:latest"
"""The VM's own, of which nothing is known."""
REACHED = {"passgate.dev/image": "hook"}
"""The label of what kustomize gives the sidecar's image: deploy/images/everywhere."""
