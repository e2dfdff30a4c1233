"""Who hears of a fault."""

from collections.abc import Sequence

from policies.invariants import RECEIVERS
from policies.rule import Setting, Subject, Violation, Violations, rule

OBSERVABILITY = ("rag:components:ObservabilityStack",)
OPERATORS_RULES = ("kubernetes:monitoring.coreos.com/v1:PrometheusRule",)


@rule(
    on=(*OBSERVABILITY, *OPERATORS_RULES),
    whole_stack=True,
    reason="An alert that is sent nowhere is seen by nobody until the users complain.",
    remedy="Set a receiver (`observabilityAlertWebhook`, `…SlackUrl`, `…PagerdutyKey` or `…MailTo`), or let a "
    "Prometheus with an Alertmanager of its own judge the rules (`observabilityPrometheusUrl`, "
    "`kubernetesMonitoringOperator`).",
    in_force=Setting(False, "true in production"),
)
def alerts_reach_somebody(subjects: Sequence[Subject], *, in_force: bool) -> Violations:
    """Every alert has a receiver."""
    if not in_force or any(subject.type in OPERATORS_RULES for subject in subjects):
        return
    for subject in subjects:
        if not any(subject.inputs.get(key) for key in (*RECEIVERS, "prometheus_url")):
            yield Violation(subject.name, "its alerts have no receiver; set one, such as observabilityAlertWebhook")
