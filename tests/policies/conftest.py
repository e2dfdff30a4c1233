"""The good stacks: the real dev program as the recording engine saw it, and manifests for Kubernetes."""

import pytest

from policies.rule import Subject
from tests.policies import manifests
from tests.policies.stacks import subjects
from tests.program.engine import run_program


@pytest.fixture(scope="session")
def good() -> list[Subject]:
    """A stack that breaks no rule, with everything in it that a rule looks at."""
    return [*subjects(run_program("dev")), *manifests.GOOD]
