"""How a program outside reaches Kubernetes, Docker, HAProxy and Kong."""
