"""What tests declare: a ReplicatedCollection of their cluster, as props and typed, and receivers of alerts."""

from pathlib import Path
from typing import Any

from components.monitoring.settings import ObservabilitySettings
from qdrant_admin.cluster_access import ClusterAccess
from qdrant_admin.collection.lifecycle import Lifecycle
from qdrant_admin.collection.spec import CollectionSpec
from qdrant_admin.progress import ProgressCallback
from settings import Settings
from tests.unit.fake_qdrant import ALIAS, KEY, NAME, FakeCluster
from tests.unit.fake_time import FakeTime

# Parameters of a collection that keeps its vectors or shards otherwise than is declared, and how that is reported.
OTHER_LAYOUTS: list[tuple[dict[str, Any], str]] = [
    ({"vectors": {"text": {"size": 4, "distance": "Cosine"}}}, "vectors: expected one unnamed, found named text"),
    ({"vectors": {"size": 4, "distance": "Cosine", "datatype": "uint8"}}, "datatype: expected float32, found uint8"),
    (
        {"vectors": {"size": 4, "distance": "Cosine", "multivector_config": {"comparator": "max_sim"}}},
        "multivector: expected none, found max_sim",
    ),
    ({"sparse_vectors": {"bm25": {}}}, "sparse_vectors: expected none, found bm25"),
    ({"sharding_method": "custom"}, "sharding_method: expected auto, found custom"),
]


def alerting(**receivers: Any) -> ObservabilitySettings:
    """The monitoring of the dev stack, with these fields."""
    return Settings.from_file(Path("Pulumi.dev.yaml"), {}).observability.model_copy(update=receivers)


def declared(cluster: FakeCluster, **changes: Any) -> dict[str, Any]:
    return {
        "name": NAME,
        "alias": ALIAS,
        "vector_size": 4,
        "distance": "Cosine",
        "vectors_on_disk": False,
        "shard_number": 2,
        "replication_factor": 2,
        "write_consistency_factor": 1,
        "hnsw": {},
        "optimizers": {},
        "quantization": {},
        "payload_indexes": {},
        "strict_mode": {},
        "keep_previous": True,
        "node_urls": cluster.urls,
        "api_key": KEY,
        "ingest_url": "",
        "ingest_token": "",
        "embedder": "minilm",
        "guarded": False,
        "timeout_seconds": 30,
        "stalled_seconds": 3,
    } | changes


def lifecycle(cluster: FakeCluster, on_progress: ProgressCallback = lambda _: None, **changes: Any) -> Lifecycle:
    props = declared(cluster, **changes)
    spec, access = CollectionSpec.from_props(props), ClusterAccess.from_props(props, FakeTime(cluster.speed).clock)
    return Lifecycle(spec=spec, access=access, on_progress=on_progress)
