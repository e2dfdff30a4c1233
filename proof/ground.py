"""What a fault needs to be there before clients start."""


class GroundRefused(Exception):
    """It cannot be had on this machine, or not be taken away again; says what was found."""
