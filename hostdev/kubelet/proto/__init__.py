"""The wire formats, from which `python -m hooksidecar.proto.generate` makes `hostdev.kubelet.stubs`."""
