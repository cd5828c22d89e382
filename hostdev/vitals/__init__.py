"""Whether the devices of VMs arrived: from a picture of signs to a verdict with its evidence."""
