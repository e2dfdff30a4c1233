"""How long-running work reports where it is."""

from collections.abc import Callable

ProgressCallback = Callable[[str], None]  # called with one line of text before each step
