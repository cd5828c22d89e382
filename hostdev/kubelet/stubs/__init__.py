"""Generated from hostdev/kubelet/proto by `python -m hooksidecar.proto.generate`: edit those, not these."""
