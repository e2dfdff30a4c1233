"""A role starts with settings that are right, or reports every mistake at once."""

from pathlib import Path

import pytest
from rag.settings import SettingsError, load_settings

pytestmark = pytest.mark.usefixtures("environment")


def test_secrets_come_from_files_and_are_never_shown() -> None:
    settings = load_settings("api")
    assert settings.service_token.get_secret_value() == "s3rvice-token-of-the-tests"
    assert settings.listens_on == 3000
    assert "of-the-tests" not in repr(settings)


def test_all_mistakes_are_reported_at_once_and_no_value_is(
    environment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QDRANT_URL", "haproxy")
    monkeypatch.setenv("EMBEDDER", "openai")
    monkeypatch.setenv("QDRANT_API_KEY_FILE", str(environment / "nowhere"))
    (environment / "SERVICE_TOKEN").write_text("\n")
    with pytest.raises(SettingsError) as refused:
        load_settings("api")
    lines = str(refused.value).splitlines()
    keys = ["EMBEDDER", "QDRANT_API_KEY_FILE", "QDRANT_URL", "SERVICE_TOKEN_FILE"]
    assert sorted(line.partition(":")[0] for line in lines) == keys
    assert "expected the path of a readable file, found FileNotFoundError" in str(refused.value)
    assert "expected a file that holds the secret, found an empty one" in str(refused.value)
    assert "openai" not in str(refused.value)


def test_a_secret_in_the_environment_itself_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVICE_TOKEN_FILE")
    monkeypatch.setenv("SERVICE_TOKEN", "plain")
    with pytest.raises(SettingsError, match="SERVICE_TOKEN_FILE: Field required"):
        load_settings("api")


@pytest.mark.parametrize("role", [None, "", "boss"])
def test_there_are_three_roles(role: str | None) -> None:
    with pytest.raises(SettingsError, match="ROLE"):
        load_settings(role)
