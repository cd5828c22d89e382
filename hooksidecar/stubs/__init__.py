"""Generated from hooksidecar/proto by `python -m hooksidecar.proto.generate`: edit those, not these."""
