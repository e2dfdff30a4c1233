"""The only place that knows the policy SDK: rules in, policies of the engine out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, cast

import pulumi
import pulumi_policy as sdk
from pulumi.runtime import get_config_env

from policies import catalogue
from policies.exceptions import KEY, entries, granted, unexcused
from policies.pack import Pack
from policies.props import known, marked
from policies.rule import Rule, Subject, Violation
from policies.security.exception_rules import STACK

LEVELS = {level.value: level for level in sdk.EnforcementLevel}
WITNESS = "what-is-declared-is-remembered"
Args = sdk.ResourceValidationArgs


@dataclass(frozen=True, kw_only=True)
class PolicyContext:
    """What the rules of one run go by: the stack's configuration, the day, and all that was declared so far.

    The engine shows a policy of the whole stack outputs, which for a component are next to nothing and before the first
    `up` are not known. So what each resource declares is remembered, and that is what such a rule judges.
    """

    config: Mapping[str, str]
    today: date
    seen: dict[str, Subject] = field(default_factory=dict)

    def subject(self, args: Args) -> Subject:
        """The resource as a rule sees it; the stack itself brings its exceptions."""
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


def serve(pack: Pack) -> None:
    """Serve the pack until the engine ends."""
    hearing = PolicyContext(config=get_config_env(), today=date.today())
    sdk.PolicyPack(name=pack.name, policies=policies(pack, hearing), enforcement_level=sdk.EnforcementLevel.MANDATORY)


def policies(pack: Pack, hearing: PolicyContext) -> list[sdk.Policy]:
    """The pack's rules as the engine runs them, and a witness for those that look at the whole stack."""
    return [_witness(pack, hearing), *(_policy(rule, hearing) for rule in pack.rules)]


def _policy(rule: Rule, hearing: PolicyContext) -> sdk.Policy:
    schema = {name: setting.schema() for name, setting in rule.settings.items()}
    common: dict[str, Any] = {
        "name": rule.name,
        "description": rule.promise,
        "enforcement_level": LEVELS[rule.level],
        "config_schema": sdk.PolicyConfigSchema(schema) if schema else None,
        "remediation_steps": rule.remedy,
    }
    if rule.whole_stack:
        return sdk.StackValidationPolicy(validate=_whole_stack(rule, hearing), **common)
    # The SDK takes a plain answer too, which its type forgets.
    remediate = cast("sdk.ResourceRemediation | None", _remediation(rule, hearing))
    return sdk.ResourceValidationPolicy(validate=_one(rule, hearing), remediate=remediate, **common)


def _witness(pack: Pack, hearing: PolicyContext) -> sdk.Policy:
    wanted = [rule for rule in pack.rules if rule.whole_stack]

    def remember(args: Args, _report: sdk.ReportViolation) -> None:
        if any(rule.applies_to(args.resource_type) for rule in wanted):
            hearing.seen[args.urn] = hearing.subject(args)

    return sdk.ResourceValidationPolicy(
        name=f"{pack.name}-{WITNESS}",
        description="Remembers what resources declare, for the rules that look at a whole stack; reports nothing.",
        validate=remember,
        enforcement_level=sdk.EnforcementLevel.ADVISORY,
    )


def _one(rule: Rule, hearing: PolicyContext) -> Callable[[Args, sdk.ReportViolation], None]:
    def check(args: Args, report: sdk.ReportViolation) -> None:
        if rule.applies_to(args.resource_type):
            for violation in hearing.verdict(rule, [hearing.subject(args)], args.get_config()):
                report(str(violation), None)

    return check


def _whole_stack(rule: Rule, hearing: PolicyContext) -> Callable[[sdk.StackValidationArgs, sdk.ReportViolation], None]:
    def check(args: sdk.StackValidationArgs, report: sdk.ReportViolation) -> None:
        urns = {subject.name: urn for urn, subject in hearing.seen.items() if rule.applies_to(subject.type)}
        for violation in hearing.verdict(rule, list(hearing.seen.values()), args.get_config()):
            report(str(violation), urns.get(violation.where.partition("/")[0]))

    return check


def _remediation(rule: Rule, hearing: PolicyContext) -> Callable[[Args], Mapping[str, Any] | None] | None:
    remediation = rule.remediation
    if remediation is None:
        return None

    def remedy(args: Args) -> Mapping[str, Any] | None:
        if not rule.applies_to(args.resource_type):
            return None
        subject = hearing.subject(args)
        excused = not hearing.verdict(rule, [subject], args.get_config())
        changed = None if excused else remediation(subject)
        return {**marked(args.props), **changed} if changed else None

    return remedy
