"""A value in another language's file means what it meant in the stack file, or is refused with its key."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from access.haproxy import BalancerApi
from components.credentials import held, usable
from components.gateway import references, valkey
from components.monitoring.alertmanager import alertmanager_config
from components.monitoring.grafana import datasource_yaml
from components.qdrant.cluster import key_file
from components.qdrant.haproxy import STATISTICS, haproxy_config
from components.yaml_text import yaml_text
from platforms.kubernetes.files import literal
from tests.unit.declaring import alerting
from tests.unit.served import free_port
from tests.unit.test_haproxy import haproxy, wait_until

__all__ = ["haproxy"]  # a fixture

HOSTILE = (
    *("pa#ss", "a b", "it's", 'a"b', "'", '"', "a\\b", "\\", "\\n", "$HOME", "${HOME}", "$(id)", "`id`", "100%"),
    *("%(x)s", "{{ x }}", "{% raw %}"),
    *("a:b", ": x", "- x", "&a", "*a", "!x", "@x", "|", ">", "a,b", "[1]", "{a: b}", "~"),
    *("null", "yes", "1e3", "1.5e+3", ".5e1"),
    *("0o17", "0x1F", "1_000", "2027-06-30", "12:30:45", "a;b", "a|b&c", "--", "<<"),
)
BLANK = (" lead", "trail ", "line\nfeed", "carriage\rreturn", "nul\0", "tab\t", "schlüssel", "日本")


@pytest.mark.parametrize("value", HOSTILE)
def test_yaml_gives_back_what_it_was_given(value: str) -> None:
    assert yaml.safe_load(key_file(value, value)) == {"service": {"api_key": value, "read_only_api_key": value}}
    config = yaml.safe_load(alertmanager_config(alerting(alert_webhook=value)))
    assert config["receivers"][1]["webhook_configs"][0]["url"] == value


@pytest.mark.parametrize("value", BLANK)
def test_yaml_gives_back_control_characters_blanks_and_every_alphabet(value: str) -> None:
    assert yaml.safe_load(yaml_text({value: value})) == {value: value}


@pytest.mark.parametrize("value", ["1e3", "12E34567", ".5e1", "0o17"])
def test_a_number_of_newer_yaml_is_written_as_text(value: str) -> None:
    assert yaml_text([value]) == f"- '{value}'\n"
    assert yaml.safe_dump([value]) == f"- {value}\n", "PyYAML quotes it by itself: the representer can go"


def test_text_that_only_begins_like_a_number_is_left_alone() -> None:
    assert yaml_text(["15s", "1e3x", "v1"]) == "- 15s\n- 1e3x\n- v1\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "haproxy.cfg"


@pytest.mark.parametrize("password", HOSTILE)
def test_the_real_haproxy_takes_the_password_and_no_other(haproxy: str, config: Path, password: str) -> None:
    port = free_port()
    text = haproxy_config([], password=password, query_timeout_ms=1000)
    begin = text.index("frontend statistics")
    config.write_text("defaults\n mode http\n timeout client 1s\n" + text[begin:].replace(f":{STATISTICS}", f":{port}"))
    process = subprocess.Popen([haproxy, "-db", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _opens(port, password), seconds=10)
        assert not _opens(port, password[:-1])
        assert not _opens(port, password + "x")
    finally:
        process.kill()
        process.wait()


def _opens(port: int, password: str) -> bool:
    try:
        BalancerApi(f"http://127.0.0.1:{port}", "operator", password).states("qdrant-0")
    except Exception:  # not there yet, or refused
        return False
    return True


def words(line: str) -> list[str]:
    """Valkey's own rules (sdssplitargs) for a word in double quotes, and for one without quotes."""
    found, rest = [], line.strip()
    while rest:
        if rest[0] != '"':
            word, _, rest = rest.partition(" ")
        else:
            word, at = "", 1
            while rest[at] != '"':
                at += rest[at] == "\\"
                word += rest[at]
                at += 1
            assert not rest[at + 1 :].strip() or rest[at + 1] == " ", "text after the closing quote"
            rest = rest[at + 1 :]
        found.append(word)
        rest = rest.strip()
    return found


@pytest.mark.parametrize("password", [value for value in HOSTILE if value != "\\n"])
def test_valkey_gets_one_word(password: str) -> None:
    assert words(valkey.valkey_config(password).splitlines()[-1]) == ["requirepass", password]


def test_two_words_without_quotes_would_be_seen() -> None:
    assert words("requirepass a b") == ["requirepass", "a", "b"]


def provisioned(text: str, env: Mapping[str, str]) -> str:
    """What Grafana makes of a value of a provisioning file: `$NAME` and `${NAME}` replaced between doubled signs."""
    import re

    parts = [re.sub(r"\$\{?(\w+)\}?", lambda name: env.get(name[1], ""), part) for part in text.split("$$")]
    return "$".join(parts)


@pytest.mark.parametrize("url", ["http://p/$HOME", "http://p/${HOME}/x", "http://p/a$$b", "http://p/$"])
def test_a_datasource_keeps_its_dollar_signs(url: str) -> None:
    read: dict[str, Any] = yaml.safe_load(datasource_yaml(url, 15))
    assert provisioned(read["datasources"][0]["url"], {"HOME": "/root"}) == url


def expanded(text: str) -> str:
    """What the kubelet makes of a word (third_party/forked/golang/expansion)."""
    import re

    return re.sub(r"\$\$|\$\(([^)]*)\)", lambda found: "$" if found[0] == "$$" else "HOST", text)


@pytest.mark.parametrize("value", [*HOSTILE, "$(HOSTNAME)", "a$$b", "$$(HOSTNAME)"])
def test_a_pod_keeps_its_dollar_signs(value: str) -> None:
    assert expanded(literal(value)) == value


def test_a_pod_without_quoting_would_lose_them() -> None:
    assert expanded("http://$(HOSTNAME)/a$$b") == "http://HOST/a$b"


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not on this machine")
@pytest.mark.parametrize("value", [value for value in HOSTILE if value == value.strip()])
def test_a_password_file_comes_through_the_images_shell(value: str, tmp_path: Path) -> None:
    """The entry points of Kong, PostgreSQL and Grafana read `"$(< file)"`."""
    file = tmp_path / "password"
    file.write_text(value)
    script = 'export P="$(< "$1")"; exec python3 -c "import json, os; print(json.dumps(os.environ[\'P\']))"'
    read = subprocess.run(["bash", "-c", script, "sh", str(file)], capture_output=True, text=True, check=True)
    assert json.loads(read.stdout) == value


@pytest.mark.parametrize("value", BLANK)
def test_a_secret_that_some_program_would_cut_is_refused_with_its_key(value: str) -> None:
    with pytest.raises(pulumi.RunError, match=r"haproxyPassword: expected one line of printable ASCII") as refused:
        usable("haproxyPassword", value)
    assert value not in str(refused.value)


@pytest.mark.parametrize("value", ["a${HOME}", "$__file{/etc/passwd}", "%(protocol)s", "{vault://env/x}"])
def test_a_secret_that_some_program_would_replace_is_refused_with_its_key(value: str) -> None:
    with pytest.raises(pulumi.RunError, match=r"^grafanaPassword: .*would replace"):
        usable("grafanaPassword", value)


def test_a_secret_that_the_cluster_holds_is_checked_too() -> None:
    with pytest.raises(pulumi.RunError, match="maybe the line feed of a file"):
        usable("qdrantApiKey", held("qdrantApiKey", {"qdrantApiKey": "letmein\n"}))


@pytest.mark.parametrize("value", ["pa#ss", "it's $5: 100% \\o/", "a"])
def test_any_other_secret_is_taken(value: str) -> None:
    assert usable("haproxyPassword", value) == value


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("service-token", "gatewayServiceToken"),
        ("redis-password", "gatewayRedisPassword"),
        ("jwt-rag-client-1", "gatewayJwt-rag-client-1"),
    ],
)
def test_a_secret_that_a_plugin_would_evaluate_is_refused_with_its_key(name: str, key: str) -> None:
    with pytest.raises(ValueError, match=rf"^{key}: expected"):
        references.fill(references.reference(name), {name: "$(os.execute('id'))".ljust(40)})
