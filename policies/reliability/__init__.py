"""Stacks that lose no data and go on without a node."""
