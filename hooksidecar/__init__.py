"""What KubeVirt talks to: the hook servers, and a rehearsal that plays virt-launcher."""
