"""What Passgate promises about its speed, measured beside what others need for the same."""
