"""Exporters: the metrics of PostgreSQL, Valkey and the edge's certificate, which serve none for Prometheus."""

from dataclasses import dataclass
from typing import Any

import pulumi

from components.gateway import postgres, valkey
from components.yaml_text import yaml_text
from platforms.base import Edge, Service
from platforms.monitoring_targets import ScrapeJob
from platforms.workload import AllowedConnection, HttpProbe, Port, Resources, Workload

POSTGRES_EXPORTER, VALKEY_EXPORTER, BLACKBOX_EXPORTER = 9187, 9121, 9115
BLACKBOX_FILE = "/etc/blackbox/blackbox.yml"
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


def certificate_exporter(image: str, edge: Edge | None) -> tuple[Exporter, ...]:
    """Shakes hands with the edge at each scrape, as a client does, and reads when its certificate ends; none without.

    An expired certificate is read too, and one of an authority of yours: clients verify it, this looks at its end.
    """
    if edge is None:
        return ()
    tls = {"insecure_skip_verify": True} | ({"server_name": edge.host} if edge.host else {})
    probe = {"prober": "tcp", "timeout": "5s", "tcp": {"tls": True, "tls_config": tls}}
    target = AllowedConnection.to(edge.address)
    workload = Workload(
        image=image,
        args=(f"--config.file={BLACKBOX_FILE}",),
        ports=(Port(number=BLACKBOX_EXPORTER),),
        files={BLACKBOX_FILE: yaml_text({"modules": {"edge": probe}})},
        connects_to=() if edge.outside else (target,),
        reaches_out=(target.port,) if edge.outside else (),
        user=65534,
        readiness=HttpProbe(port=BLACKBOX_EXPORTER, path="/-/healthy"),
        liveness=HttpProbe(port=BLACKBOX_EXPORTER, path="/-/healthy"),
        resources=Resources(memory_mib=64, cpus=0.1),
    )
    job = _job("edge", BLACKBOX_EXPORTER, path="/probe", params={"module": "edge", "target": edge.address})
    return (Exporter(workload=workload, job=job),)


def _job(name: str, port: int, **more: Any) -> ScrapeJob:
    target = AllowedConnection(name=f"{name}-exporter", port=port)
    return ScrapeJob(name=name, target=target, addresses=(target.address,), **more)
