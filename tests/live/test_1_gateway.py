"""What the gateway lets through, on the running stack."""

import csv
import gzip
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from ops.corpus import Document
from ops.gateway import mint_token
from proof.measure.k6 import SCRIPTS, THRESHOLDS_MISSED, find
from tests.live.conftest import LiveStack
from tests.unit.served import Answer, served

pytestmark = pytest.mark.live

DOCUMENTS = [
    Document(source="json", title="json.loads", text="Deserialize a JSON document from a string to a Python object."),
    Document(source="os", title="os.remove", text="Remove (delete) the file path from the file system of the machine."),
    Document(source="math", title="math.sqrt", text="Return the square root of a number, as a floating point number."),
]


@pytest.fixture(scope="module", autouse=True)
def indexed(stack: LiveStack) -> None:
    """A small corpus."""
    assert stack.ingest().index(DOCUMENTS)["documents_done"] == len(DOCUMENTS)


def search(stack: LiveStack, token: str | None, **request: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.post(
        f"{stack.outputs['gatewayUrl']}/api/v1/rag/search",
        json={"query": "how do I parse JSON text?", "limit": 3},
        headers=headers | request.pop("headers", {}),
        timeout=30,
        **request,
    )


def test_no_request_passed_the_new_route_without_a_token(stack: LiveStack) -> None:
    others = {status: times for status, times in stack.hammered.items() if status not in ("401", "404", "none", "429")}
    assert others == {}
    assert stack.hammered["401"] >= 50


def test_a_search_with_a_token_answers_with_ranked_passages(stack: LiveStack) -> None:
    answer = search(stack, stack.token())
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert results[0]["source"] == "json"
    assert [result["score"] for result in results] == sorted((r["score"] for r in results), reverse=True)


def test_a_question_is_answered_with_citations(stack: LiveStack) -> None:
    answer = requests.post(
        f"{stack.outputs['gatewayUrl']}/api/v1/rag/query",
        json={"question": "How do I delete a file?"},
        headers={"Authorization": f"Bearer {stack.token()}"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    assert "os" in [citation["source"] for citation in answer.json()["citations"]]


def test_no_token_is_refused(stack: LiveStack) -> None:
    assert search(stack, None).status_code == 401


def test_an_expired_token_is_refused(stack: LiveStack) -> None:
    answer = search(stack, stack.token(valid_seconds=-10))
    assert (answer.status_code, answer.json()["exp"]) == (401, "token expired")


def test_a_token_in_the_address_is_refused(stack: LiveStack) -> None:
    assert search(stack, None, params={"jwt": stack.token()}).status_code == 401


def test_a_forged_service_token_does_not_reach_the_service(stack: LiveStack) -> None:
    answer = search(stack, stack.token(), headers={"X-Service-Token": "forged", "X_Service_Token": "forged"})
    assert answer.status_code == 200


def test_the_service_refuses_who_comes_past_the_gateway(stack: LiveStack) -> None:
    answer = requests.post(f"{stack.outputs['ingestUrl']}/reindex", json={"documents": []}, timeout=10)
    assert answer.status_code == 401


def test_a_browser_of_the_right_origin_may_ask(stack: LiveStack) -> None:
    answer = requests.options(
        f"{stack.outputs['gatewayUrl']}/api/v1/rag/search",
        headers={"Origin": "http://localhost:3103", "Access-Control-Request-Method": "POST"},
        timeout=10,
    )
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3103"
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


def test_a_limit_changed_by_hand_is_seen_and_repaired(stack: LiveStack) -> None:
    admin, url = admin_session(stack), f"{stack.outputs['gatewayAdminUrl']}/plugins"
    [plugin] = [p for p in admin.get(url, timeout=10).json()["data"] if p["name"] == "rate-limiting"]
    admin.patch(f"{url}/{plugin['id']}", json={"config": {"minute": 9999}}, timeout=10).raise_for_status()
    progress, _ = stack.up(refresh=True)
    assert ("update", "rag-service-rate-limiting") in progress.changes
    assert admin.get(f"{url}/{plugin['id']}", timeout=10).json()["config"]["minute"] == 100


def admin_session(stack: LiveStack) -> requests.Session:
    """Calls of the Admin API with its token."""
    session = requests.Session()
    session.headers["Kong-Admin-Token"] = stack.outputs["gatewayAdminToken"]
    return session


FORM = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://evil.example"}
PREFLIGHT = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PATCH"}


def test_a_page_that_the_developer_visits_reads_and_changes_nothing_of_the_gateway(stack: LiveStack) -> None:
    url = f"{stack.outputs['gatewayAdminUrl']}/consumers"
    answers = [
        requests.get(url, headers=FORM, timeout=10),
        requests.get(url, headers={"Host": "evil.example:8001"}, timeout=10),  # a name that was rebound
        requests.post(url, headers=FORM, data="username=evil", timeout=10),
        requests.options(url, headers=PREFLIGHT, timeout=10),
    ]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert not [name for answer in answers for name in answer.headers if name.lower().startswith("access-control")]
    allowed = admin_session(stack).get(url, headers={"Origin": "https://evil.example"}, timeout=10)
    assert [consumer["username"] for consumer in allowed.json()["data"]] == ["rag-client"]
    assert allowed.headers["Access-Control-Allow-Origin"] != "https://evil.example"


PAGE = """<title>tries</title><pre id=o></pre><script>
const url = "URL/consumers", tries = {
  read: {credentials: "include"}, blind: {mode: "no-cors"},
  json: {method: "POST", headers: {"Content-Type": "application/json"}, body: '{"username": "evil"}'},
  form: {method: "POST", mode: "no-cors", headers: {"Content-Type": FORM}, body: "username=evil"}};
(async () => { for (const [name, how] of Object.entries(tries)) {
  let seen;
  try { const got = await fetch(url, how); seen = (await got.text()).length + got.type } catch (e) { seen = e.name }
  document.getElementById("o").textContent += name + "=" + seen + " " } })();
</script>"""


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium on PATH: apt-get install chromium")
def test_a_page_in_a_real_browser_reads_and_changes_nothing_of_the_gateway(stack: LiveStack) -> None:
    page = PAGE.replace("URL", stack.outputs["gatewayAdminUrl"]).replace("FORM", f'"{FORM["Content-Type"]}"')
    with served(lambda asked: Answer(200, page, {"Content-Type": "text/html"})) as url:
        options = ("--headless", "--no-sandbox", "--no-proxy-server", "--virtual-time-budget=8000", "--dump-dom")
        dump = subprocess.run(
            ["chromium", *options, url], capture_output=True, text=True, check=True, timeout=90
        ).stdout
    assert "read=TypeError blind=0opaque json=TypeError form=0opaque" in dump
    consumers = admin_session(stack).get(f"{stack.outputs['gatewayAdminUrl']}/consumers", timeout=10).json()["data"]
    assert [consumer["username"] for consumer in consumers] == ["rag-client"]


def test_a_neighbour_reads_and_changes_nothing_of_the_gateway(stack: LiveStack) -> None:
    script = (
        "import urllib.request, urllib.error\n"
        "for data in (None, b'username=evil'):\n"
        "    try:\n"
        "        print(urllib.request.urlopen('http://kong:8001/consumers', data, 10).status)\n"
        "    except urllib.error.HTTPError as refused:\n"
        "        print(refused.code)\n"
    )
    code, output = stack.container("rag-service-0").exec_run(["python3", "-c", script])
    assert (code, output.decode().split()) == (0, ["401", "401"])


def test_a_body_above_the_limit_is_refused_by_the_gateway(stack: LiveStack) -> None:
    answer = search(stack, stack.token(), data=b"x" * (2**20 + 1))
    assert (answer.status_code, answer.json()["message"]) == (413, "Request size limit exceeded")
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3103"


def test_a_token_that_is_good_for_too_long_is_refused(stack: LiveStack) -> None:
    found, years = stack.outputs, 10 * 365 * 86400
    answer = search(stack, mint_token(found["gatewayJwtKey"], found["gatewayJwtSecret"], years))
    assert (answer.status_code, answer.json()["exp"]) == (401, "exceeds maximum allowed expiration")


def test_entities_that_the_database_has_lost_are_created_again_by_a_plain_up(stack: LiveStack) -> None:
    admin, url = admin_session(stack), stack.outputs["gatewayAdminUrl"]
    for kind in ("routes", "plugins", "services", "upstreams", "consumers"):
        for entity in admin.get(f"{url}/{kind}", timeout=10).json()["data"]:
            admin.delete(f"{url}/{kind}/{entity['id']}", timeout=10).raise_for_status()
    stack.up()
    assert search(stack, None).status_code == 401
    assert search(stack, stack.token()).status_code == 200


def test_the_proposal_s_script_runs_as_its_owner_wrote_it(stack: LiveStack, tmp_path: Path) -> None:
    """But for its stages, which take five minutes, and for the port: this stack is not the only one here."""
    text = (SCRIPTS / "proposal.js").read_text()
    shorter, stages = re.subn(r"stages: \[.*?\],", "stages: [{ duration: '8s', target: 10 }],", text, flags=re.DOTALL)
    here = shorter.replace("http://localhost:8000", stack.outputs["gatewayUrl"])
    assert (stages, here != shorter) == (1, True)
    script = tmp_path / "proposal.js"
    script.write_text(here)
    assert find().run(script, tmp_path, {"JWT_TOKEN": stack.token()}) in (0, THRESHOLDS_MISSED)
    with gzip.open(tmp_path / "calls.csv.gz", "rt") as rows:
        statuses = {row["status"] for row in csv.DictReader(rows) if row["metric_name"] == "http_reqs"}
    assert "200" in statuses
    assert statuses <= {"200", "429"}


def test_the_call_after_the_hundredth_is_refused_until_the_minute_is_over(stack: LiveStack) -> None:
    token = stack.token()
    answers = use_up_the_minute(stack, token)
    while answers[-1].status_code == 200:  # another minute began meanwhile
        answers = use_up_the_minute(stack, token)
    assert [answer.status_code for answer in answers[:-1]] == [200] * (len(answers) - 1)
    assert answers[-1].status_code == 429
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60


def use_up_the_minute(stack: LiveStack, token: str) -> list[requests.Response]:
    """The calls that are left of this minute's hundred, and one more."""
    while (first := search(stack, token)).status_code == 429:
        time.sleep(int(first.headers["Retry-After"]))
    return [search(stack, token) for _ in range(int(first.headers["X-RateLimit-Remaining-Minute"]) + 1)]


def test_a_flood_without_a_token_is_limited_too(stack: LiveStack) -> None:
    session = requests.Session()
    url = f"{stack.outputs['gatewayUrl']}/api/v1/rag/search"
    statuses = {session.post(url, json={}, timeout=10).status_code for _ in range(700)}
    assert statuses == {401, 429}
