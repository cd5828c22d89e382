"""The guest's cloud-init data, and the network data that we put into it. Pure: bytes in, bytes out."""
