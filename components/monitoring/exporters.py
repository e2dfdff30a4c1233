"""Who tells Prometheus of parts that do not speak its language."""

import json
from dataclasses import dataclass

import pulumi

from components.gateway import postgres, valkey
from platforms.base import Service
from platforms.workload import Call, HttpProbe, Port, Resources, Workload

POSTGRES_EXPORTER, VALKEY_EXPORTER = 9187, 9121
POSTGRES_PASSWORD_FILE = "/run/secrets/postgres-password"  # noqa: S105  a path
VALKEY_PASSWORDS_FILE = "/run/secrets/valkey-passwords.json"
# What is kept of an exporter that tells more than anybody asks.
KEPT_OF_POSTGRES = (
    "pg_(up|stat_activity_count|stat_database_.+|settings_max_connections|database_size_bytes|exporter_.+)"
)


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """What tells of one part, as the job of that name; `keeps` matches the metrics that are kept, empty: all."""

    job: str
    port: int
    workload: Workload
    keeps: str = ""

    @property
    def name(self) -> str:
        """What it runs under."""
        return f"{self.job}-exporter"

    @property
    def call(self) -> Call:
        """The wire to it."""
        return Call(name=self.name, port=self.port)


@dataclass(frozen=True, kw_only=True)
class PostgresSource:
    """A database to look at: `host:port`, who asks, and the password."""

    address: str
    database: str
    user: str
    password: pulumi.Input[str]
    call: Call  # the wire to it

    @classmethod
    def of(cls, database: Service | None, password: pulumi.Input[str]) -> "PostgresSource | None":
        """The gateway's own database; none where it has none, or somebody else's."""
        if database is None or not database.replicas:
            return None
        return cls(
            address=database.address(postgres.PORT),
            database=postgres.DATABASE,
            user=postgres.USER,
            password=password,
            call=database.call(postgres.PORT),
        )


@dataclass(frozen=True, kw_only=True)
class ValkeySource:
    """A Valkey to look at, and its password."""

    url: str
    password: pulumi.Input[str]
    call: Call  # the wire to it

    @classmethod
    def of(cls, counter: Service | None, password: pulumi.Input[str]) -> "ValkeySource | None":
        """The one that counts for the gateway; none where each node counts by itself, or a Redis of somebody else's."""
        if counter is None:
            return None
        url = f"redis://{counter.address(valkey.PORT)}"
        return cls(url=url, password=password, call=counter.call(valkey.PORT))


def postgres_exporter(image: str, source: PostgresSource) -> Exporter:
    """It asks as the gateway does, and answers anybody inside the network."""
    workload = Workload(
        image=image,
        env={
            "DATA_SOURCE_URI": f"{source.address}/{source.database}?sslmode=disable",
            "DATA_SOURCE_USER": source.user,
            "DATA_SOURCE_PASS_FILE": POSTGRES_PASSWORD_FILE,
        },
        ports=(Port(number=POSTGRES_EXPORTER),),
        secret_files={POSTGRES_PASSWORD_FILE: source.password},
        calls=(source.call,),
        user=65534,
        readiness=HttpProbe(port=POSTGRES_EXPORTER, path="/metrics"),
        resources=Resources(memory_mib=64, cpus=0.1),
    )
    return Exporter(job="postgres", port=POSTGRES_EXPORTER, workload=workload, keeps=KEPT_OF_POSTGRES)


def valkey_exporter(image: str, source: ValkeySource) -> Exporter:
    """It answers whether Valkey does or not: its own health says nothing of Valkey's, which is what `redis_up` is for.

    Its file of passwords has one for each server, under the URL that it is asked to look at.
    """
    passwords = pulumi.Output.from_input(source.password).apply(lambda password: json.dumps({source.url: password}))
    workload = Workload(
        image=image,
        env={"REDIS_ADDR": source.url, "REDIS_PASSWORD_FILE": VALKEY_PASSWORDS_FILE},
        ports=(Port(number=VALKEY_EXPORTER),),
        secret_files={VALKEY_PASSWORDS_FILE: passwords},
        calls=(source.call,),
        user=65534,
        readiness=HttpProbe(port=VALKEY_EXPORTER, path="/health"),
        resources=Resources(memory_mib=64, cpus=0.1),
    )
    return Exporter(job="valkey", port=VALKEY_EXPORTER, workload=workload)
