"""The only place that knows the policy SDK: rules in, policies of the engine out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, cast

import pulumi
import pulumi_policy as sdk
from pulumi.runtime import get_config_env

from policies import catalogue
from policies.catalogue import Pack
from policies.exceptions import KEY, entries, granted, unexcused
from policies.props import known, marked
from policies.rule import Remediation, Rule, Subject, Violation
from policies.security.exception_rules import STACK

LEVELS = {level.value: level for level in sdk.EnforcementLevel}
MEMORY = "what-is-declared-is-remembered"
Args = sdk.ResourceValidationArgs


@dataclass(frozen=True, kw_only=True)
class PolicyContext:
    """What the rules of one run judge by: the stack's configuration, the day, and all resources declared so far.

    The engine gives a policy of the whole stack outputs, which for a component are next to nothing and before the first
    `up` are not known. So the inputs of each resource are remembered, and such a rule judges those.
    """

    config: Mapping[str, str]
    today: date
    declared: dict[str, Subject] = field(default_factory=dict)

    def subject(self, args: Args) -> Subject:
        """The resource as a rule reads it; the stack itself has the exceptions."""
        inputs = known(args.props)
        if args.resource_type in STACK:
            rules = sorted(catalogue.NAMES)
            inputs = {KEY: entries(self.config), "today": self.today.isoformat(), "rules": rules}
        return Subject(
            type=args.resource_type,
            name=args.name,
            inputs=inputs,
            protected=args.opts.protect,
            stack=pulumi.get_stack(),
        )

    def verdict(self, rule: Rule, subjects: list[Subject], chosen: Mapping[str, Any]) -> list[Violation]:
        """What is wrong and not excused."""
        return unexcused(rule.name, rule.judge(subjects, known(chosen)), granted(self.config), self.today)

    def remember(self, rules: Sequence[Rule], args: Args, _report: sdk.ReportViolation) -> None:
        if any(rule.applies_to(args.resource_type) for rule in rules):
            self.declared[args.urn] = self.subject(args)

    def check(self, rule: Rule, args: Args, report: sdk.ReportViolation) -> None:
        if rule.applies_to(args.resource_type):
            for violation in self.verdict(rule, [self.subject(args)], args.get_config()):
                report(str(violation), None)

    def check_stack(self, rule: Rule, args: sdk.StackValidationArgs, report: sdk.ReportViolation) -> None:
        urns = {subject.name: urn for urn, subject in self.declared.items() if rule.applies_to(subject.type)}
        for violation in self.verdict(rule, list(self.declared.values()), args.get_config()):
            report(str(violation), urns.get(violation.where.partition("/")[0]))

    def remedy(self, rule: Rule, remediation: Remediation, args: Args) -> Mapping[str, Any] | None:
        subject = self.subject(args)
        if not rule.applies_to(subject.type) or not self.verdict(rule, [subject], args.get_config()):
            return None
        changed = remediation(subject)
        return {**marked(args.props), **changed} if changed else None


def serve(pack: Pack) -> None:
    """Serve the pack until the engine ends."""
    context = PolicyContext(config=get_config_env(), today=date.today())
    sdk.PolicyPack(name=pack.name, policies=policies(pack, context), enforcement_level=sdk.EnforcementLevel.MANDATORY)


def policies(pack: Pack, context: PolicyContext) -> list[sdk.Policy]:
    """The pack's rules as the engine runs them, and before them the memory of those that look at a whole stack."""
    memory = sdk.ResourceValidationPolicy(
        name=f"{pack.name}-{MEMORY}",
        description="Remembers what resources declare, for the rules that look at a whole stack; reports nothing.",
        validate=partial(context.remember, [rule for rule in pack.rules if rule.whole_stack]),
        enforcement_level=sdk.EnforcementLevel.ADVISORY,
    )
    return [memory, *(_policy(rule, context) for rule in pack.rules)]


def _policy(rule: Rule, context: PolicyContext) -> sdk.Policy:
    schema = {name: setting.schema() for name, setting in rule.settings.items()}
    common: dict[str, Any] = {
        "name": rule.name,
        "description": rule.promise,
        "enforcement_level": LEVELS[rule.level],
        "config_schema": sdk.PolicyConfigSchema(schema) if schema else None,
        "remediation_steps": rule.remedy,
    }
    if rule.whole_stack:
        return sdk.StackValidationPolicy(validate=partial(context.check_stack, rule), **common)
    remedy = partial(context.remedy, rule, rule.remediation) if rule.remediation else None
    # The SDK takes a plain result too, which its type omits.
    remediate = cast("sdk.ResourceRemediation | None", remedy)
    return sdk.ResourceValidationPolicy(validate=partial(context.check, rule), remediate=remediate, **common)
