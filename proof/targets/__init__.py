"""The stacks that experiments run on: Docker and Kubernetes."""
