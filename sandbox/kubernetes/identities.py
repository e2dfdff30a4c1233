"""Identities in the cluster: a certificate authority, certificates, and kubeconfigs that carry them."""

import base64
import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.kubernetes.places import API, API_SERVICE, HOME, KUBECONFIG, NODES, SERVER

FOLDER = HOME / "identities"
CA, CA_KEY = FOLDER / "ca.crt", FOLDER / "ca.key"
BEGAN, ENDS = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(days=365)
Key = ec.EllipticCurvePrivateKey
AUTHORITY = "rag-k8s"
SERVES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")


def make() -> None:
    """Create all keys and certificates; they live as long as the cluster."""
    FOLDER.mkdir(parents=True, mode=0o700)
    authority = _key(CA_KEY)
    _certify(CA, _name(AUTHORITY), authority, authority)
    _key(FOLDER / "tokens.key")
    _issue("api", "kube-apiserver", "", (*SERVES, API, API_SERVICE, "127.0.0.1"), authority)
    _kubeconfig(KUBECONFIG, *_issue("admin", "admin", "system:masters", (), authority))
    for role in ("kube-controller-manager", "kube-scheduler", "kube-proxy"):
        _kubeconfig(FOLDER / f"{role}.kubeconfig", *_issue(role, f"system:{role}", "", (), authority))
    for node in NODES:
        pair = _issue(node.name, f"system:node:{node.name}", "system:nodes", (node.name, node.address), authority)
        _kubeconfig(FOLDER / f"{node.name}.kubeconfig", *pair)


def _issue(file: str, name: str, group: str, serves: tuple[str, ...], authority: Key) -> tuple[Path, Path]:
    certificate, key = FOLDER / f"{file}.crt", FOLDER / f"{file}.key"
    _certify(certificate, _name(name, group), _key(key), authority, serves)
    return certificate, key


def _key(path: Path) -> Key:
    key = ec.generate_private_key(ec.SECP256R1())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    return key


def _certify(path: Path, subject: x509.Name, key: Key, authority: Key, serves: tuple[str, ...] = ()) -> None:
    """A certificate of that name, for both ends of a connection; the authority's own when both keys are the same."""
    builder = (
        x509.CertificateBuilder(_name(AUTHORITY), subject, key.public_key(), x509.random_serial_number(), BEGAN, ENDS)
        .add_extension(x509.BasicConstraints(ca=key is authority, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
    )
    if serves:
        builder = builder.add_extension(x509.SubjectAlternativeName([_served(at) for at in serves]), critical=False)
    path.write_bytes(builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def _name(name: str, group: str = "") -> x509.Name:
    parts = {NameOID.COMMON_NAME: name} | ({NameOID.ORGANIZATION_NAME: group} if group else {})
    return x509.Name([x509.NameAttribute(kind, part) for kind, part in parts.items()])


def _served(at: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(at))
    except ValueError:
        return x509.DNSName(at)


def _kubeconfig(path: Path, certificate: Path, key: Path) -> None:
    def data(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    described = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "rag-k8s",
        "clusters": [{"name": "rag-k8s", "cluster": {"server": SERVER, "certificate-authority-data": data(CA)}}],
        "users": [{"name": "me", "user": {"client-certificate-data": data(certificate), "client-key-data": data(key)}}],
        "contexts": [{"name": "rag-k8s", "context": {"cluster": "rag-k8s", "user": "me"}}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(described))
