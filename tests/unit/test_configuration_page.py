"""The configuration page lists the keys that Pulumi.yaml declares."""

from pathlib import Path

from ops.config_table import config_table


def test_the_table_of_keys_is_made_from_pulumi_yaml() -> None:
    page = Path("docs/configuration.md").read_text()
    assert config_table() in page, "put the output of python -m ops.config_table there"
