"""The least that a pack can be: the SDK refuses one without policies."""

import pulumi_policy


def nothing(_stack: pulumi_policy.StackValidationArgs, _report: pulumi_policy.ReportViolation) -> None:
    """Whatever it is, it is well."""


pulumi_policy.PolicyPack(
    name="empty",
    policies=[pulumi_policy.StackValidationPolicy(name="nothing", description="Nothing.", validate=nothing)],
)
