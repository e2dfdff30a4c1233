"""Checkers that come with the real components."""

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def promtool() -> str:
    """Return the checker that comes with Prometheus."""
    return checker("promtool", "prometheus")


@pytest.fixture(scope="session")
def amtool() -> str:
    """Return the checker that comes with Alertmanager."""
    return checker("amtool", "prometheus-alertmanager")


def checker(name: str, package: str) -> str:
    """Return the path of a program; where it is not, the test is skipped, and fails where checks must run."""
    found = shutil.which(name)
    if found is not None:
        return found
    missing = f"{name} is not on PATH: install the {package} package (apt-get install {package})"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)
