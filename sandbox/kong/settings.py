"""Kong's settings: KONG_X, or the file that KONG_X_FILE names."""

import os
from pathlib import Path

VERSION = "3.9.3"
TOKEN = f"kong/{VERSION}"


def setting(name: str, default: str = "") -> str:
    """The value of KONG_<name>, or what the file KONG_<name>_FILE holds."""
    path = os.environ.get(f"KONG_{name}_FILE")
    return Path(path).read_text().strip() if path else os.environ.get(f"KONG_{name}", default)


def listeners(name: str, default: str) -> list[tuple[str, int, bool]]:
    """Each (host, port, whether TLS) of a KONG_*_LISTEN value such as `0.0.0.0:8000, 0.0.0.0:8443 http2 ssl`."""
    entries = [entry.split() for entry in setting(name, default).split(",")]
    addresses = [(words[0].rpartition(":"), "ssl" in words) for words in entries if words != ["off"]]
    return [(host, int(port), tls) for (host, _, port), tls in addresses]
