"""The budget file: the numbers that loads, faults and alerts are judged by."""

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

PROMISES_FILE = Path(__file__).with_name("promises.yaml")


class PromisesError(Exception):
    """The budget file is not what it must be; the text names every key that is wrong."""


class Checked(BaseModel):
    """Checked, and never changed after."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Objective(Checked):
    """The share of requests that must be good, over a window."""

    objective: float = Field(gt=0, lt=1)
    window_days: int = Field(ge=1)

    @property
    def error_budget(self) -> float:
        """The share of requests that may be bad."""
        return round(1 - self.objective, 12)


class Availability(Objective):
    """A request is good that is answered without a 5xx."""


class Latency(Objective):
    """A request is good that is answered within a bucket bound of Kong's histogram."""

    threshold_ms: Literal[25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000]


class Slo(Checked):
    """What the gateway's clients are promised over a month."""

    availability: Availability
    latency: Latency

    @property
    def longest_window_days(self) -> int:
        """How long metrics must be kept to compute what is left of each budget."""
        return max(self.availability.window_days, self.latency.window_days)


class Load(Checked):
    """What one run of the load test may show."""

    p95_ms: float = Field(gt=0)
    failed_ratio: float = Field(ge=0, lt=1)
    slo_failed_ratio: float = Field(ge=0, lt=1)
    dropped_iterations: int = Field(ge=0)


class Noticed(Checked):
    """What clients may notice of any fault or change."""

    failed_writes_after_retry: int = Field(ge=0)
    lost_points: Literal[0]
    p99_ratio: float = Field(ge=1)


class Fault(Noticed):
    """What clients may notice of one node that is gone."""

    failed_reads: int = Field(ge=0)
    worst_read_ms: float = Field(gt=0)


class Rolling(Noticed):
    """What clients may notice of a component that is replaced under load."""

    failed_requests: int = Field(ge=0)


class BreakerPromise(Checked):
    """How the RAG service's circuit breakers behave."""

    failures_to_open: int = Field(ge=1)
    open_answer_ms: float = Field(gt=0)
    probes_to_close: int = Field(ge=1)


class Recovery(Checked):
    """Seconds from the end of a fault until the platform has recovered."""

    node_returns: float = Field(gt=0)
    volume_replaced: float = Field(gt=0)
    front_returns: float = Field(gt=0)


class Promises(Checked):
    """All that is promised."""

    slo: Slo
    load: Load
    fault: Fault
    rolling: Rolling
    breaker: BreakerPromise
    recovery: Recovery

    @classmethod
    def read(cls, path: Path = PROMISES_FILE) -> Self:
        """The promises of a budget file; PromisesError with every key that is missing, unknown or wrong."""
        try:
            return cls.model_validate(yaml.safe_load(path.read_text()) or {})
        except yaml.YAMLError as error:
            raise PromisesError(f"expected YAML in {path.name}, found a mistake: {error}") from error
        except ValidationError as error:
            mistakes = "\n".join(_mistake(detail) for detail in error.errors())
            raise PromisesError(f"{path.name} has {error.error_count()} mistake(s):\n{mistakes}") from error


def _mistake(detail: object) -> str:
    assert isinstance(detail, dict)
    key = ".".join(map(str, detail["loc"])) or "the file"
    found = "" if detail["type"] == "missing" else f", found {detail['input']!r}"
    return f"  - {key}: {detail['msg']}{found}"
