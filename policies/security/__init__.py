"""Stacks that give nothing away."""
