"""Every test runs with the parts of this machine in reach, as `make up` does."""

import gc

from ops.parts import load_parts
from ops.stack import use_parts

use_parts(load_parts())


def pytest_collection_finish() -> None:
    """What is imported stays: the garbage collector need not visit it during the tests."""
    gc.freeze()
