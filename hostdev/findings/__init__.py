"""What every finding means, what others say of it, what to do."""
