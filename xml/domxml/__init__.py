"""Libvirt domain XML and the guest's PCI tree. Pure: bytes in, bytes out; knows no host."""
