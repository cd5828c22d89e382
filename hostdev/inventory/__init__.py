"""The parts of a machine's picture, each read from the host by one module."""
