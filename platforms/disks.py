"""How full the disks of a stack are: node_exporter, which sees nothing but them."""

from platforms.workload import HttpProbe, Port, Resources, Workload

NAME, PORT = "disk-exporter", 9100
FOLDER = "/disks"  # each disk is mounted below it, read-only


def exporter(image: str) -> Workload:
    """One process that measures every file system below `/disks`."""
    return Workload(
        image=image,
        args=("--collector.disable-defaults", "--collector.filesystem", f"--web.listen-address=:{PORT}"),
        ports=(Port(number=PORT),),
        readiness=HttpProbe(port=PORT, path="/"),
        liveness=HttpProbe(port=PORT, path="/"),
        user=65534,
        resources=Resources(memory_mib=64, cpus=0.1),
    )
