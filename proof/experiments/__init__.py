"""Faults and changes under load, and the runner for both."""
