"""Every test runs with the parts of this machine in reach, as `make up` does."""

import asyncio
import gc

from ops.parts import load_parts
from ops.stack import use_parts

use_parts(load_parts())


def pytest_runtest_setup() -> None:
    """Pulumi's outputs want an event loop in the main thread; a test that ran one has taken it away at its end."""
    try:
        asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())


def pytest_configure() -> None:
    """What tests import stays: the garbage collector would visit it in vain."""
    gc.disable()


def pytest_collection_finish() -> None:
    """It goes on without what was imported, and not after every few hundred objects."""
    gc.freeze()
    gc.set_threshold(100_000)
    gc.enable()
