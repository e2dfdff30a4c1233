"""PostgreSQL, where the gateway keeps its configuration."""

from pathlib import Path

import pulumi

from platforms.workload import AllowedConnection, CommandProbe, Port, Resources, Workload

NAME, PORT = "postgres", 5432
DATABASE = USER = "kong"
PASSWORD_FILE = "/run/secrets/postgres-password"  # noqa: S105  a path
MONITOR = "monitor"  # the role that the exporter connects as
MONITOR_PASSWORD_FILE = "/run/secrets/monitor-password"  # noqa: S105  a path
ROLE_SCRIPT, ROLE_FILE = Path(__file__).with_name("monitor_role.sh").read_text(), "/etc/postgres/monitor_role.sh"


def postgres_workload(image: str, password: pulumi.Input[str], storage_gib: int) -> Workload:
    """One instance with its own volume; the password is set when the volume is new."""
    return Workload(
        image=image,
        env={
            "POSTGRES_USER": USER,
            "POSTGRES_DB": DATABASE,
            "POSTGRES_PASSWORD_FILE": PASSWORD_FILE,
            "PGDATA": "/var/lib/postgresql/data/pgdata",
        },
        ports=(Port(number=PORT),),
        secret_files={PASSWORD_FILE: password},
        # Its start gives an empty volume to the user postgres, and then becomes that user.
        capabilities=("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"),
        data_dir="/var/lib/postgresql/data",
        data_gib=storage_gib,
        scratch_dirs=("/var/run/postgresql", "/tmp"),  # noqa: S108  the container's own
        readiness=CommandProbe(command=("pg_isready", "-h", "127.0.0.1", "-U", USER, "-d", DATABASE)),
        resources=Resources(memory_mib=512),
        user=999,
    )


def monitor_role_workload(image: str, password: pulumi.Input[str], monitor_password: pulumi.Input[str]) -> Workload:
    """Runs monitor_role.sh to its end."""
    return Workload(
        image=image,
        args=("sh", ROLE_FILE),
        env={"PGHOST": NAME, "PGUSER": USER, "PGDATABASE": DATABASE},
        files={ROLE_FILE: ROLE_SCRIPT},
        secret_files={PASSWORD_FILE: password, MONITOR_PASSWORD_FILE: monitor_password},
        connects_to=(AllowedConnection(name=NAME, port=PORT),),
        scratch_dirs=("/tmp",),  # noqa: S108  the container's own
        user=999,
    )
