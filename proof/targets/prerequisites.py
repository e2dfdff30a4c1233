"""What a fault needs to be there before clients start, and goes again when they are done."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from proof.targets.docker_stack import OwnStack

Prerequisites = Callable[[OwnStack], AbstractContextManager[None]]


class PrerequisiteRefused(Exception):
    """It cannot be had on this machine, or not be taken away again; says what was found."""


def as_it_stands(_: OwnStack) -> AbstractContextManager[None]:
    """Most faults need nothing but the stack."""
    return nullcontext()
