"""Who tells Prometheus of parts that do not speak its language."""

from dataclasses import dataclass

import pulumi

from components import postgres
from platforms.base import Service
from platforms.workload import Call, HttpProbe, Port, Resources, Workload

POSTGRES_EXPORTER = 9187
PASSWORD_FILE = "/run/secrets/postgres-password"  # noqa: S105  a path


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


def postgres_exporter_workload(image: str, source: PostgresSource) -> Workload:
    """The exporter; it asks as the gateway does, and answers anybody inside the network."""
    return Workload(
        image=image,
        env={
            "DATA_SOURCE_URI": f"{source.address}/{source.database}?sslmode=disable",
            "DATA_SOURCE_USER": source.user,
            "DATA_SOURCE_PASS_FILE": PASSWORD_FILE,
        },
        ports=(Port(number=POSTGRES_EXPORTER),),
        secret_files={PASSWORD_FILE: source.password},
        calls=(source.call,),
        user=65534,
        readiness=HttpProbe(port=POSTGRES_EXPORTER, path="/metrics"),
        resources=Resources(memory_mib=64),
    )
