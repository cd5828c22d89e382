"""The wire formats, and the command that makes `hooksidecar.stubs` from them."""
