"""One sentence and exit code 1 for a Python that the dependencies do not carry; any Python can read this file."""

import sys

OLDEST, NEWEST = (3, 11), (3, 14)

if __name__ == "__main__" and not OLDEST <= sys.version_info[:2] <= NEWEST:
    sys.exit(
        "expected python3 to be Python {}.{} to {}.{}, found {}.{}; put another one first on PATH, remove .venv, "
        "run make again".format(*(OLDEST + NEWEST + sys.version_info[:2]))
    )
