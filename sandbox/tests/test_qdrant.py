"""The stand-in for Qdrant keeps the promises of a real cluster, and its traps."""

import asyncio
import hashlib
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from qdrant_client import QdrantClient, models

from sandbox.polling import poll
from sandbox.qdrant.caretaker import Caretaker
from sandbox.qdrant.metadata import Collection, Metadata, Peer
from sandbox.qdrant.node import Node
from sandbox.qdrant.server import setting
from sandbox.qdrant.wire import ServiceError

ROOT = Path(__file__).parents[2]
FULL, READING = "full-key", "reading-key"
SIZE, SHARDS = 16, 6


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def until(true: Callable[[], Any], seconds: float = 120) -> Any:
    def met() -> Any:
        with suppress(httpx.TransportError, KeyError):
            return true()

    return poll(met, seconds, lambda: AssertionError(f"still not true after {seconds} s: {true}"), every=0.05)


class Server:
    """One node as a process on ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.http, self.p2p, self.grpc = free_port(), free_port(), free_port()
        self.uri, self.url = f"http://127.0.0.1:{self.p2p}", f"http://127.0.0.1:{self.http}"
        self.process: subprocess.Popen[bytes] | None = None
        self.web = httpx.Client(base_url=self.url, headers={"api-key": FULL}, timeout=40)

    def start(self, bootstrap: str | None = None) -> None:
        self.folder.mkdir(exist_ok=True)
        own: dict[str, int | str] = {"SERVICE__HTTP_PORT": self.http, "SERVICE__GRPC_PORT": self.grpc}
        own |= {
            "CLUSTER__P2P__PORT": self.p2p,
            "CLUSTER__ENABLED": "true",
            "SERVICE__API_KEY": FULL,
            "SERVICE__READ_ONLY_API_KEY": READING,
        }
        environment = {"PYTHONPATH": str(ROOT)} | {f"QDRANT__{name}": str(value) for name, value in own.items()}
        command = [sys.executable, str(ROOT / "sandbox/qdrant/server.py"), "--uri", self.uri]
        command += ["--bootstrap", bootstrap] if bootstrap else []
        self.process = subprocess.Popen(command, cwd=self.folder, env=os.environ | environment)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None

    def exit_code(self) -> int:
        assert self.process
        code, self.process = self.process.wait(60), None
        return code

    def ready(self) -> bool:
        return self.web.get("/readyz").status_code == 200

    def get(self, path: str) -> Any:
        return self.web.get(path).json()["result"]

    def states(self, name: str) -> list[str]:
        view = self.get(f"/collections/{name}/cluster")
        return [replica["state"] for replica in view["local_shards"] + view["remote_shards"]]

    def query(self, name: str) -> httpx.Response:
        return self.web.post(f"/collections/{name}/points/query", json={"query": vector(), "limit": 3})

    def upsert(self, name: str, *ids: int) -> httpx.Response:
        points = [{"id": i, "vector": vector(), "payload": {"n": i}} for i in ids]
        return self.web.put(f"/collections/{name}/points?wait=true", json={"points": points})

    def known(self, name: str, ids: list[int]) -> set[int]:
        body = {"ids": ids, "with_payload": False}
        return {point["id"] for point in self.web.post(f"/collections/{name}/points", json=body).json()["result"]}


def vector() -> list[float]:
    return [random.uniform(-1, 1) for _ in range(SIZE)]


def create(server: Server, name: str, seconds: int = 20, **params: Any) -> httpx.Response:
    body = {"vectors": {"size": SIZE, "distance": "Cosine"}, "shard_number": SHARDS, "replication_factor": 2}
    return server.web.put(f"/collections/{name}?timeout={seconds}", json=body | params)


class Cluster:
    """Three servers; `mend` makes a whole cluster of them again."""

    def __init__(self, folder: Path) -> None:
        self.servers = [Server(folder / str(ordinal)) for ordinal in range(3)]

    def mend(self) -> None:
        for server in self.servers:
            if server.process is None:
                server.start(None if server is self.servers[0] else self.servers[0].uri)
            until(server.ready)
        until(self.settled)

    def settled(self) -> bool:
        views = [server.get("/cluster") for server in self.servers]
        agreed = {(len(view["peers"]), view["raft_info"]["leader"], view["raft_info"]["commit"]) for view in views}
        names = [entry["name"] for entry in self.servers[0].get("/collections")["collections"]]
        whole = all(set(server.states(name)) == {"Active"} for server in self.servers for name in names)
        voters = all(view["raft_info"]["is_voter"] and view["raft_info"]["leader"] for view in views)
        return len(agreed) == 1 and next(iter(agreed))[0] == 3 and voters and whole

    def followers(self) -> list[Server]:
        leader = self.servers[0].get("/cluster")["raft_info"]["leader"]
        return [server for server in self.servers if server.get("/cluster")["peer_id"] != leader]

    def counts(self, name: str) -> dict[int, list[int]]:
        views = [server.get(f"/collections/{name}/cluster")["local_shards"] for server in self.servers]
        local = [(shard["shard_id"], shard["points_count"]) for view in views for shard in view]
        return {shard: [count for n, count in local if n == shard] for shard, _ in local}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("qdrant"))
    try:
        yield cluster
    finally:
        for server in cluster.servers:
            server.kill()


@pytest.fixture
def cluster(shared: Cluster) -> Cluster:
    shared.mend()
    return shared


@pytest.fixture
def name(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name
    assert create(cluster.servers[0], name).json()["result"] is True
    yield name
    cluster.mend()
    cluster.servers[0].web.delete(f"/collections/{name}")


def test_every_shard_has_its_replicas_on_distinct_peers(cluster: Cluster, name: str) -> None:
    view = cluster.servers[1].get(f"/collections/{name}/cluster")
    own = [(shard["shard_id"], view["peer_id"]) for shard in view["local_shards"]]
    replicas = own + [(shard["shard_id"], shard["peer_id"]) for shard in view["remote_shards"]]
    assert len(set(replicas)) == len(replicas) == 2 * SHARDS
    assert set(cluster.servers[1].states(name)) == {"Active"}


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_points_come_back_as_they_went_in_from_any_node(cluster: Cluster, name: str) -> None:
    clients = [QdrantClient(url=s.url, api_key=FULL, check_compatibility=False) for s in cluster.servers]
    vectors = [vector() for _ in range(500)]
    points = [models.PointStruct(id=i, vector=v, payload={"odd": i % 2, "n": i}) for i, v in enumerate(vectors)]
    clients[0].upsert(name, points)
    odd = models.Filter(must=[models.FieldCondition(key="odd", match=models.MatchValue(value=1))])
    for client in clients:
        assert client.count(name, exact=True).count == 500
        found = client.query_points(name, vectors[7], limit=5, with_payload=True).points
        assert (found[0].id, found[0].payload, len(found)) == (7, {"odd": 1, "n": 7}, 5)
        assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)
        assert client.count(name, count_filter=odd).count == 250
        page, following = client.scroll(name, limit=100, offset=200)
        assert ([p.id for p in page], following) == (list(range(200, 300)), 300)
    clients[1].delete(name, [1, 2, 3])
    clients[2].delete(name, models.Filter(must=[models.FieldCondition(key="n", range=models.Range(gte=400))]))
    assert clients[0].count(name).count == 397
    assert all(first == second for first, second in cluster.counts(name).values())


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_pages_of_uuids_leave_none_out_from_any_node(cluster: Cluster, name: str) -> None:
    clients = [QdrantClient(url=s.url, api_key=FULL, check_compatibility=False) for s in cluster.servers]
    ids = [str(uuid4()) for _ in range(200)]
    clients[0].upsert(name, [models.PointStruct(id=each, vector=vector(), payload={}) for each in ids])
    for client in clients:
        seen, following = client.scroll(name, limit=30)
        while following is not None:
            page, following = client.scroll(name, limit=30, offset=following)
            seen += page
        assert [point.id for point in seen] == sorted(ids)


def test_what_it_cannot_do_is_refused(cluster: Cluster, name: str) -> None:
    flag = {"key": "flag", "match": {"value": True}}
    asked: list[tuple[str, dict[str, Any], int]] = [
        ("query", {"query": [1.0] * SIZE}, 200),
        ("query", {"query": [1.0] * (SIZE + 1)}, 400),
        ("query", {"query": {"fusion": "rrf"}, "prefetch": []}, 400),
        ("query", {"query": 404}, 404),
        ("search", {"vector": [1.0] * SIZE, "limit": 3}, 200),
        ("scroll", {"order_by": "n"}, 400),
        ("count", {"filter": {"must": [flag]}}, 400),
        ("count", {"filter": {"must": [flag | {"match": {"value": 1}}]}}, 200),
    ]
    for question, body, status in asked:
        answer = cluster.servers[0].web.post(f"/collections/{name}/points/{question}", json=body)
        assert answer.status_code == status, (question, body)


@pytest.mark.parametrize(
    ("key", "method", "path", "status"),
    [
        (None, "GET", "/readyz", 200),
        (None, "GET", "/cluster", 401),
        (None, "GET", "/metrics", 401),
        ("wrong", "GET", "/collections", 401),
        (READING, "GET", "/collections", 200),
        (READING, "DELETE", "/collections/nothing", 403),
        (FULL, "DELETE", "/collections/nothing", 200),
        (FULL, "GET", "/collections/nothing", 404),
    ],
)
def test_a_key_opens_what_it_may(cluster: Cluster, key: str | None, method: str, path: str, status: int) -> None:
    headers = {"api-key": key} if key else {}
    assert httpx.request(method, cluster.servers[0].url + path, headers=headers).status_code == status


def test_a_new_replication_factor_moves_nothing(cluster: Cluster, name: str) -> None:
    cluster.servers[0].web.patch(f"/collections/{name}", json={"params": {"replication_factor": 3}})
    params = cluster.servers[2].get(f"/collections/{name}")["config"]["params"]
    assert params["replication_factor"] == 3
    assert len(cluster.servers[2].states(name)) == 2 * SHARDS


def test_settings_of_a_collection_are_kept_and_returned(cluster: Cluster, name: str) -> None:
    one, other = cluster.servers[0], cluster.servers[2]
    scalar = {"scalar": {"type": "int8"}}
    body = {"hnsw_config": {"m": 32}, "quantization_config": scalar, "vectors": {"": {"on_disk": True}}}

    def config_now() -> Any:
        return other.get(f"/collections/{name}")["config"]

    one.web.patch(f"/collections/{name}", json=body)
    until(lambda: config_now()["hnsw_config"]["m"] == 32)  # another node follows a moment later
    config = config_now()
    assert config["hnsw_config"]["ef_construct"] == 100
    assert (config["quantization_config"], config["params"]["vectors"]["on_disk"]) == (scalar, True)
    one.web.patch(f"/collections/{name}", json={"quantization_config": "Disabled"})
    until(lambda: config_now()["quantization_config"] is None)


def test_a_replica_asked_for_has_all_points(cluster: Cluster, name: str) -> None:
    server = cluster.servers[0]
    server.upsert(name, *range(200))
    view = server.get(f"/collections/{name}/cluster")
    shard = view["local_shards"][0]["shard_id"]
    holders = {view["peer_id"]} | {r["peer_id"] for r in view["remote_shards"] if r["shard_id"] == shard}
    [target] = {int(peer) for peer in server.get("/cluster")["peers"]} - holders
    move = {"shard_id": shard, "from_peer_id": view["peer_id"], "to_peer_id": target}
    assert server.web.post(f"/collections/{name}/cluster", json={"replicate_shard": move}).status_code == 200
    until(lambda: len(server.states(name)) == 2 * SHARDS + 1 and cluster.settled())
    assert len(counts := cluster.counts(name)[shard]) == 3
    assert len(set(counts)) == 1


def test_request_metrics_appear_with_the_first_request_that_counts(cluster: Cluster, name: str) -> None:
    server = cluster.servers[0]
    server.kill()
    cluster.mend()
    assert "rest_responses" not in server.web.get("/metrics").text
    server.query(name)
    page = server.web.get("/metrics").text
    endpoint = 'endpoint="/collections/{collection_name}/points/query"'
    assert f'rest_responses_total{{method="POST",{endpoint},status="200"}} 1' in page
    assert "collection_active_replicas_min 2" in page
    assert "cluster_peers_total 3" in page


class Traffic(threading.Thread):
    """A writer and a reader in one: each question goes to the next node until one answers."""

    def __init__(self, servers: list[Server], name: str) -> None:
        super().__init__()
        self._servers, self._name, self.ending = servers, name, threading.Event()
        self.acknowledged: list[int] = []
        self.failed_reads = 0

    def run(self) -> None:
        point = 0
        while not self.ending.is_set():
            point += 1
            order = self._servers[point % 3 :] + self._servers[: point % 3]
            if any(_answers(server.upsert, self._name, point) for server in order):
                self.acknowledged.append(point)
            self.failed_reads += not any(_answers(server.query, self._name) for server in order)


def _answers(ask: Callable[..., httpx.Response], *question: Any) -> bool:
    try:
        return ask(*question).status_code == 200
    except httpx.TransportError:
        return False


def test_a_killed_node_loses_no_acknowledged_point(cluster: Cluster, name: str) -> None:
    traffic, victim = Traffic(cluster.servers, name), cluster.followers()[0]
    traffic.start()
    try:
        until(lambda: len(traffic.acknowledged) > 50)
        victim.kill()
        until(lambda: len(traffic.acknowledged) > 150)
        cluster.mend()
    finally:
        traffic.ending.set()
        traffic.join()
    cluster.mend()
    assert traffic.failed_reads == 0
    assert all(s.known(name, traffic.acknowledged) == set(traffic.acknowledged) for s in cluster.servers)
    assert all(first == second for first, second in cluster.counts(name).values())


def test_a_gentle_stop_loses_what_it_acknowledges_on_a_kept_connection(cluster: Cluster, name: str) -> None:
    victim, other = cluster.followers()
    victim.get("/cluster")  # from here on the client keeps a connection
    assert victim.process
    victim.process.terminate()
    until(lambda: not _accepts(victim.http))
    statuses = [victim.upsert(name, 1).status_code, victim.query(name).status_code]
    assert statuses == [200, 500]
    victim.web.close()
    assert victim.exit_code() == 0
    victim.web = httpx.Client(base_url=victim.url, headers={"api-key": FULL}, timeout=40)
    cluster.mend()
    assert other.known(name, [1]) == victim.known(name, [1]) == set()


def test_a_gentle_stop_without_connections_loses_nothing(cluster: Cluster, name: str) -> None:
    victim, other = cluster.followers()
    assert victim.upsert(name, 1).status_code == 200
    victim.web.close()
    assert victim.process
    victim.process.terminate()
    started = time.monotonic()
    assert victim.exit_code() == 0
    assert time.monotonic() - started < 5
    victim.web = httpx.Client(base_url=victim.url, headers={"api-key": FULL}, timeout=40)
    cluster.mend()
    assert other.known(name, [1]) == victim.known(name, [1]) == {1}


def _accepts(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def test_a_peer_that_cannot_join_exits_101(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start(bootstrap=f"http://127.0.0.1:{free_port()}")
    assert server.exit_code() == 101


def test_an_empty_node_on_a_registered_address_poisons_the_others(cluster: Cluster, name: str) -> None:
    victim, other = cluster.followers()
    victim.kill()
    assert {other.query(name).status_code for _ in range(30)} == {200}, "a dead node is only avoided"
    storage, aside = victim.folder / "storage", victim.folder / "aside"
    storage.rename(aside)
    try:
        victim.start(bootstrap=other.uri)
        assert victim.exit_code() == 101, "the address belongs to a peer with shards"
        victim.start()
        until(victim.ready)
        assert len(victim.get("/cluster")["peers"]) == 1
        until(lambda: 404 in {other.query(name).status_code for _ in range(30)})
        assert other.upsert(name, *range(60)).status_code == 200
        assert {other.query(name).status_code for _ in range(30)} == {200}, "a write declares its replicas dead"
    finally:
        victim.kill()
        shutil.rmtree(storage)
        aside.rename(storage)


def test_a_collection_made_while_a_node_is_down_heals_when_it_returns(cluster: Cluster) -> None:
    victim, other = cluster.followers()
    victim.kill()
    assert create(other, "early", seconds=2).json()["result"] is True
    assert other.states("early").count("Initializing") == 4
    cluster.mend()
    assert set(victim.states("early")) == {"Active"}
    other.web.delete("/collections/early")


@pytest.mark.slow
def test_without_a_majority_nothing_is_agreed_and_readyz_stays(cluster: Cluster, name: str) -> None:
    survivor, *others = cluster.servers
    for server in others:
        server.kill()
    refused = create(survivor, "never", seconds=2)
    assert refused.status_code == 500
    assert "Timeout set at: 2 seconds" in refused.text or "leader is not established" in refused.text
    assert survivor.query(name).status_code == 500
    assert survivor.ready()


@pytest.mark.slow
def test_a_frozen_node_stalls_writes_and_not_reads(cluster: Cluster, name: str) -> None:
    victim, other = cluster.followers()
    assert victim.process
    victim.process.send_signal(19)
    try:
        started = time.monotonic()
        assert other.query(name).status_code == 200
        assert time.monotonic() - started < 3
        assert other.upsert(name, *range(60)).status_code == 200
        assert 15 < time.monotonic() - started < 30
        assert "Dead" in other.states(name)
    finally:
        victim.process.send_signal(18)


def test_a_node_once_ready_stays_ready(tmp_path: Path) -> None:
    async def look() -> None:
        node = Node(tmp_path, clustered=True)
        caretaker = Caretaker(node, tmp_path, joined=False)
        peers = {node.raft.me: Peer(uri="http://127.0.0.1:1")}
        docs = Collection(name="docs", uid="1", params={}, shards=[{node.raft.me: "Dead"}])
        node.raft.metadata = Metadata(peers=peers, collections={"docs": docs})
        assert not await caretaker.ready()
        docs.shards[0][node.raft.me] = "Active"
        assert await caretaker.ready()
        docs.shards[0][node.raft.me] = "Dead"
        assert await caretaker.ready()

    asyncio.run(look())


def test_the_environment_wins_over_the_file_and_empty_is_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/local.yaml").write_text("service: {api_key: of-the-file, read_only_api_key: ''}")
    monkeypatch.chdir(tmp_path)
    assert setting("service", "api_key") == "of-the-file"
    assert setting("service", "read_only_api_key") is None
    monkeypatch.setenv("QDRANT__SERVICE__API_KEY", "of-the-environment")
    assert setting("service", "api_key") == "of-the-environment"


def operation(do: str, **arguments: Any) -> dict[str, Any]:
    return {"id": str(random.random()), "do": do, "arguments": arguments}


def test_the_last_active_replica_cannot_be_declared_dead() -> None:
    docs = Collection(name="docs", uid="1", params={}, shards=[{1: "Active", 2: "Active"}])
    metadata = Metadata(collections={"docs": docs})
    after = metadata.after(operation("replica", name="docs", shard=0, peer=1, state="Dead"))
    assert after.collection("docs").shards == [{1: "Dead", 2: "Active"}]
    with pytest.raises(ServiceError, match="last active replica"):
        after.after(operation("replica", name="docs", shard=0, peer=2, state="Dead"))


def test_replicas_are_placed_on_the_peers_known_at_that_moment() -> None:
    metadata = Metadata(peers={n: Peer(uri=str(n)) for n in (1, 2)})
    assert metadata.placed(3, factor=3) == [[1, 2]] * 3
    three = Metadata(peers={n: Peer(uri=str(n)) for n in (1, 2, 3)}).placed(6, factor=2)
    assert all(len(set(peers)) == 2 for peers in three)
    assert {peer: sum(peer in peers for peers in three) for peer in (1, 2, 3)} == {1: 4, 2: 4, 3: 4}


def test_a_snapshot_brings_a_shard_back_and_its_other_copy_follows(cluster: Cluster, name: str) -> None:
    first = cluster.servers[0]
    first.upsert(name, *range(60))
    shard = first.get(f"/collections/{name}/cluster")["local_shards"][0]
    path = f"/collections/{name}/shards/{shard['shard_id']}/snapshots"
    made = first.web.post(path).json()["result"]
    content = first.web.get(f"{path}/{made['name']}").content
    assert (len(content), hashlib.sha256(content).hexdigest()) == (made["size"], made["checksum"])
    assert first.web.delete(f"{path}/{made['name']}").json()["result"] is True
    assert first.web.get(f"{path}/{made['name']}").status_code == 404
    first.web.post(f"/collections/{name}/points/delete?wait=true", json={"points": list(range(60))})

    def upload(checksum: str) -> httpx.Response:
        params = {"priority": "snapshot", "wait": "true", "checksum": checksum}
        return first.web.post(f"{path}/upload", params=params, files={"snapshot": ("s", content)})

    assert upload("0" * 64).status_code == 400
    assert upload(made["checksum"]).status_code == 200
    until(lambda: cluster.counts(name)[shard["shard_id"]] == [shard["points_count"]] * 2)
    cluster.mend()


def test_a_snapshot_of_a_shard_that_is_elsewhere_is_refused(cluster: Cluster, name: str) -> None:
    first = cluster.servers[0]
    held = {shard["shard_id"] for shard in first.get(f"/collections/{name}/cluster")["local_shards"]}
    elsewhere = min(set(range(SHARDS)) - held)
    assert first.web.post(f"/collections/{name}/shards/{elsewhere}/snapshots").status_code == 404
