"""Whether a change replaced the replicas that it had to replace, one after another."""

import re
from collections import Counter
from collections.abc import Sequence

from proof.experiments.experiment import Changes, Experiment, T
from proof.report.judge import WORDS, Observed, Verdict
from proof.report.report import Figures, Measure
from proof.targets.target import Replica


def newcomers(before: Sequence[Replica], after: Sequence[Replica]) -> list[str]:
    """The names of the replicas that were not there before, the oldest first."""
    known = {replica.id for replica in before}
    return [one.name for one in sorted(after, key=lambda one: one.created) if one.id not in known]


def replaced(change: Experiment[T], changes: Changes, new: Sequence[str]) -> Verdict:
    """A change that replaced nothing, or in another order, has proven nothing.

    Components that do not depend on each other may roll at the same time. A change that is to replace nothing must
    still change something.
    """
    if not change.replaces:
        operations = Counter(operation for operation, _ in changes)
        found = ", ".join(f"{operation} {count}" for operation, count in operations.items()) or "no change"
        kept = bool(changes) and not new
        return Verdict(promise="changed", expected="something, replacing nothing", found=found, kept=kept)
    names = [name for name in new if name in change.replaces]
    return Verdict(
        promise="replaced, of each component in this order",
        expected=", ".join(change.replaces),
        found=", ".join(names) or "none",
        kept=_by_component(names) == _by_component(change.replaces),
    )


def _by_component(replicas: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for replica in replicas:
        found.setdefault(re.sub(r"-\d+$", "", replica), []).append(replica)
    return found


def gaps(observed: Observed) -> Figures:
    """How long each stream went without a success."""
    rows = [
        Measure(name=words, cells=[f"{observed.longest_gap(stream):.2f} s"])
        for stream, words in WORDS.items()
        if any(call.stream == stream for call in observed.calls)
    ]
    return Figures(title="Longest time without a success", columns=["seconds"], rows=rows)
