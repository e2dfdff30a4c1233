"""A certificate that comes to its end, and an edge that shakes no hands."""

from tests.unit.faults.fault import Fault, Series, of_job

DAY = 86400
LABELS = {"job": "edge", "instance": "edge-exporter:9115"}
WHERE = "edge-exporter:9115"


def ends(day: float) -> Series:
    """When the certificate ends, in days of the test's own clock, which begins at 0."""
    return of_job(**LABELS, metric="probe_ssl_earliest_cert_expiry", values=f"{round(day * DAY)}x999")


EDGE = (
    Fault(
        alert="EdgeCertificateExpires",
        series=ends(13),
        says=f"{WHERE}: it ends in 12d 22h 0m 0s.",
        labels=LABELS,
        nearly=ends(15),
        at="2h",
        step="60s",
    ),
    Fault(
        alert="EdgeCertificateEnds",
        series=ends(1),
        says=f"{WHERE}: it ends in 23h 45m 0s.",
        labels=LABELS,
        nearly=ends(3),
    ),
    Fault(
        alert="EdgeUnreached",
        series=of_job(**LABELS, metric="probe_success", values="0x200"),
        says=f"{WHERE}: no handshake for 15 minutes (0).",
        labels=LABELS,
        nearly=of_job(**LABELS, metric="probe_success", values="0x40 1 0x200"),
        at="20m",
    ),
)
