"""Who was given what: the channels that tell of a pod's devices, and the one picture they make together."""
