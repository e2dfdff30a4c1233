"""Gateways that let in valid tokens, as often as the limit allows."""
