"""Measurements: load, hops, capacity, circuit breaker."""
