"""Is there room on the disks, and for how long?"""

from components.monitoring.rules.rule import Alert, Recording, Rules

DISKS = '{mountpoint=~"/disks/.+"}'


def disk_rules() -> Rules:
    """Return what must hold of each disk that keeps data."""
    where = "{{ $labels.mountpoint }} of {{ $labels.instance }}"
    return (
        Recording("disk:free:ratio", f"node_filesystem_avail_bytes{DISKS} / node_filesystem_size_bytes"),
        Recording("disk:free_inodes:ratio", f"node_filesystem_files_free{DISKS} / (node_filesystem_files > 0)"),
        Alert(
            name="DiskAlmostFull",
            expr="disk:free:ratio < 0.1",
            severity="page",
            summary="A disk has less than a tenth of its room left: Qdrant refuses updates, or is about to",
            description=f"{where} has {{{{ $value | humanizePercentage }}}} left.",
        ),
        Alert(
            name="DiskFillsUp",
            expr="disk:free:ratio < 0.25",
            wait="5m",
            summary="A disk has less than a quarter of its room left",
            description=f"{where} has {{{{ $value | humanizePercentage }}}} left.",
        ),
        # A disk that was filled once and stays there is no news: it must be half full, and be empty within a day.
        Alert(
            name="DiskFullSoon",
            expr="disk:free:ratio < 0.5"
            f" and on (instance, mountpoint) predict_linear(node_filesystem_avail_bytes{DISKS}[6h], 86400) < 0",
            wait="30m",
            summary="A disk will be full within a day if it fills on as in the last six hours",
            description=f"{where} has {{{{ $value | humanizePercentage }}}} left.",
        ),
        Alert(
            name="DiskInodesRunOut",
            expr="disk:free_inodes:ratio < 0.1",
            wait="5m",
            summary="A disk has few inodes left: it takes no new file, whatever room it has",
            description=f"{where} has {{{{ $value | humanizePercentage }}}} of its inodes left.",
        ),
        Alert(
            name="DisksUnmeasured",
            expr="absent(disk:free:ratio)",
            wait="15m",
            summary="The disks are not measured: a full one would be silent",
            description="No disk is measured (absent is {{ $value }}).",
        ),
    )
