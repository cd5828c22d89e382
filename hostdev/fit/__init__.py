"""Whether a guest's firmware finds room for the BARs of its devices, computed as that firmware would."""
