"""Gateways that let in whom they should, as often as they should."""
