"""Clients that call the stack, from this machine or from a pod."""
