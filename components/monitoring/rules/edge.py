"""Does the edge serve a certificate, and for how long? Silent in a stack without one."""

from components.monitoring.rules.rule import Alert, Recording, Rules


def edge_rules() -> Rules:
    """Return what must hold of the certificate that clients are served."""
    where = "{{ $labels.instance }}"
    return (
        Recording("edge:certificate_left:seconds", 'probe_ssl_earliest_cert_expiry{job="edge"} - time()'),
        Alert(
            name="EdgeCertificateExpires",
            expr="edge:certificate_left:seconds < 1209600",
            wait="1h",
            summary="The certificate of the gateway's public name ends within 14 days",
            description=f"{where}: it ends in {{{{ $value | humanizeDuration }}}}.",
        ),
        Alert(
            name="EdgeCertificateEnds",
            expr="edge:certificate_left:seconds < 172800",
            wait="5m",
            severity="page",
            summary="The certificate of the gateway's public name ends within two days: clients will refuse it",
            description=f"{where}: it ends in {{{{ $value | humanizeDuration }}}}.",
        ),
        Alert(
            name="EdgeUnreached",
            expr='probe_success{job="edge"} == 0',
            wait="15m",
            summary="No TLS handshake with the gateway's public name succeeds from within the stack",
            description=f"{where}: no handshake for 15 minutes ({{{{ $value }}}}).",
        ),
    )
