"""An alert over metrics that are not there is silent for ever: what is watched must also be heard."""

from components.monitoring.rules.rule import Alert


def metrics_missing(subject: str, *, job: str, metric: str) -> Alert:
    """Return the alert for a target that answers its scrapes and leaves out what the other alerts are made of.

    A target that does not answer at all is told by `up`, and is no case of this one.
    """
    return Alert(
        name=f"{subject}MetricsMissing",
        expr=f'up{{job="{job}"}} == 1 unless on (job, instance) {metric}',
        wait="5m",
        summary=f"{subject} answers Prometheus and leaves out what its alerts are made of",
        description="{{ $labels.instance }} sends no " + metric.partition("{")[0] + ": its alerts are silent"
        " (up is {{ $value }}).",
    )
