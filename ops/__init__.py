"""The operator's command line: what `make` calls."""
