"""What is wrong with a VM's spec before it is applied."""
