"""Where this checkout keeps what must not be committed."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".state"
PARTS = STATE / "parts.json"
