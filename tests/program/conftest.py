"""The stacks, each run once on the recording engine."""

import pytest

from tests.program.engine import Engine, run_program


@pytest.fixture(scope="session")
def dev() -> Engine:
    """What the program asks for in the dev stack."""
    return run_program("dev")


@pytest.fixture(scope="session")
def prod() -> Engine:
    """What the program asks for in the prod stack."""
    return run_program("prod")
