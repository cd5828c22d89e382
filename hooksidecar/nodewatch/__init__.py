"""What the processes of a node share: the host as it changes, the offer that comes of it, and what they tell."""
