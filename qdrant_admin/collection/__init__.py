"""A declared collection: its specification, its life, its generations."""
