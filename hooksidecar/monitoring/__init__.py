"""What is watched of a node: the metrics that the agent serves, the alerts and the dashboard made of them."""
