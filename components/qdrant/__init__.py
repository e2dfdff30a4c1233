"""The Qdrant cluster: nodes that join safely and the balancer in front of them."""
