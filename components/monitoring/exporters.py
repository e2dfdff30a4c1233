"""Exporters: the metrics of PostgreSQL and Valkey, which serve none for Prometheus."""

from dataclasses import dataclass

import pulumi

from components.gateway import postgres, valkey
from platforms.base import Service
from platforms.monitoring_targets import ScrapeJob
from platforms.workload import AllowedConnection, HttpProbe, Port, Resources, Workload

POSTGRES_EXPORTER, VALKEY_EXPORTER = 9187, 9121
VALKEY_PASSWORDS_FILE = "/run/secrets/valkey-passwords.json"
# The exporter of PostgreSQL has many metrics that no rule or panel uses.
KEPT_OF_POSTGRES = (
    "pg_(up|stat_activity_count|stat_database_.+|settings_max_connections|database_size_bytes|exporter_.+)"
)


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """What runs, and the job that scrapes it."""

    workload: Workload
    job: ScrapeJob

    @property
    def name(self) -> str:
        """The name that the workload runs under."""
        return self.job.target.name


def postgres_exporter(image: str, database: Service | None, password: pulumi.Input[str]) -> tuple[Exporter, ...]:
    """Connects as a role that may read statistics only; none without a database of our own."""
    if database is None:
        return ()
    workload = Workload(
        image=image,
        env={
            "DATA_SOURCE_URI": f"{database.address(postgres.PORT)}/{postgres.DATABASE}?sslmode=disable",
            "DATA_SOURCE_USER": postgres.MONITOR,
            "DATA_SOURCE_PASS_FILE": postgres.MONITOR_PASSWORD_FILE,
        },
        ports=(Port(number=POSTGRES_EXPORTER),),
        secret_files={postgres.MONITOR_PASSWORD_FILE: password},
        connects_to=(database.connection(postgres.PORT),),
        user=65534,
        readiness=HttpProbe(port=POSTGRES_EXPORTER, path="/metrics"),
        liveness=HttpProbe(port=POSTGRES_EXPORTER, path="/"),
        resources=Resources(memory_mib=64, cpus=0.1),
    )
    return (Exporter(workload=workload, job=_job("postgres", POSTGRES_EXPORTER, keeps=KEPT_OF_POSTGRES)),)


def valkey_exporter(image: str, counter: Service | None, password: pulumi.Input[str]) -> tuple[Exporter, ...]:
    """Ready whether Valkey answers or not: `redis_up` reports Valkey's own health; none without a Valkey of our own.

    Its file of passwords has one for each server, under the URL of the server.
    """
    if counter is None:
        return ()
    url = f"redis://{counter.address(valkey.PORT)}"
    workload = Workload(
        image=image,
        env={"REDIS_ADDR": url, "REDIS_PASSWORD_FILE": VALKEY_PASSWORDS_FILE},
        ports=(Port(number=VALKEY_EXPORTER),),
        secret_files={VALKEY_PASSWORDS_FILE: pulumi.Output.json_dumps({url: password})},
        connects_to=(counter.connection(valkey.PORT),),
        user=65534,
        readiness=HttpProbe(port=VALKEY_EXPORTER, path="/health"),
        liveness=HttpProbe(port=VALKEY_EXPORTER, path="/health"),
        resources=Resources(memory_mib=64, cpus=0.1),
    )
    return (Exporter(workload=workload, job=_job("valkey", VALKEY_EXPORTER)),)


def _job(name: str, port: int, keeps: str = "") -> ScrapeJob:
    target = AllowedConnection(name=f"{name}-exporter", port=port)
    return ScrapeJob(name=name, target=target, addresses=(target.address,), keeps=keeps)
