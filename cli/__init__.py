"""The command line behind `make`."""
