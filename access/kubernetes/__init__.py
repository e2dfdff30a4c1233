"""Kubernetes from outside: its API, its pods and Jobs, port-forwards."""
