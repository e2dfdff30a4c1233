"""docs/policies.md says what the packs do, and nothing else."""

from pathlib import Path

from policies import catalogue
from policies.document import document

PAGE = Path(__file__).resolve().parents[2] / "docs" / "policies.md"


def test_the_page_is_what_the_packs_say() -> None:
    assert PAGE.read_text() == document(), "run python -m policies.document > docs/policies.md"


def test_every_rule_has_a_reason_and_a_remedy() -> None:
    assert all(rule.promise and len(rule.reason) > 20 and len(rule.remedy) > 20 for rule in catalogue.RULES)
    assert all(f"### {name}\n" in document() for name in catalogue.NAMES)
