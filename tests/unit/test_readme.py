"""What the README says of the configuration is what Pulumi.yaml says."""

from pathlib import Path

from ops.config_table import config_table


def test_the_table_of_keys_is_made_from_pulumi_yaml() -> None:
    assert config_table() in Path("README.md").read_text(), "put the output of python -m ops.config_table there"
