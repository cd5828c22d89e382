"""Units: what can be given to one VM as a whole."""
