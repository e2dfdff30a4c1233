"""What a disk that fills up looks like: its exporter sends bytes and inodes of each file system."""

from tests.unit.faults.fault import Fault, Series, of_job

GIB = 2**30
WHERE = "/disks/qdrant-0 of disk-exporter:9100"


def disk(free_gib: str, *, size_gib: int = 100, mountpoint: str = "/disks/qdrant-0") -> Series:
    """Its room, GiB, in the notation of promtool."""
    labels = {"device": "/dev/vda", "fstype": "ext4", "mountpoint": mountpoint}
    free = of_job("disks", "disk-exporter:9100", "node_filesystem_avail_bytes", free_gib, **labels)
    return free | of_job("disks", "disk-exporter:9100", "node_filesystem_size_bytes", f"{size_gib}x9999", **labels)


def inodes(free: str, of: str) -> Series:
    labels = {"device": "/dev/vda", "fstype": "ext4", "mountpoint": "/disks/qdrant-0"}
    found = of_job("disks", "disk-exporter:9100", "node_filesystem_files_free", free, **labels)
    return found | of_job("disks", "disk-exporter:9100", "node_filesystem_files", of, **labels)


LABELS = {
    "job": "disks",
    "instance": "disk-exporter:9100",
    "device": "/dev/vda",
    "fstype": "ext4",
    "mountpoint": "/disks/qdrant-0",
}
DISKS = (
    Fault(
        alert="DiskAlmostFull",
        series=disk("9x60"),
        says=f"{WHERE} has 9% left.",
        labels=LABELS,
        nearly=disk("11x60"),
    ),
    Fault(  # another file system of the same machine is not ours
        alert="DiskFillsUp",
        series=disk("24x60"),
        says=f"{WHERE} has 24% left.",
        labels=LABELS,
        nearly=disk("26x60") | disk("1x60", mountpoint="/"),
    ),
    Fault(  # 1 GiB in five minutes; and a disk that fills as fast from far away
        alert="DiskFullSoon",
        series=disk("90-0.1x899"),
        says=f"{WHERE} has 42% left.",
        labels=LABELS,
        nearly=disk("300-0.1x899", size_gib=310),
        at="4h",
        step="30s",
    ),
    Fault(  # a disk that was filled once, and is left alone since
        alert="DiskFullSoon",
        series=disk("45-0.05x899"),
        says=f"{WHERE} has 33% left.",
        labels=LABELS,
        nearly=disk("45x899"),
        at="2h",
        step="30s",
    ),
    Fault(  # a file system without a count of inodes, such as btrfs
        alert="DiskInodesRunOut",
        series=inodes("90x60", "1000x60"),
        says=f"{WHERE} has 9% of its inodes left.",
        labels=LABELS,
        nearly=inodes("0x60", "0x60"),
    ),
    Fault(
        alert="DisksUnmeasured",
        series={},
        says="No disk is measured (absent is 1).",
        nearly=disk("50x60"),
        at="20m",
    ),
)
