"""Every test runs with the parts of this machine in reach, as `make parts` left them."""

import json
import os
from pathlib import Path

PARTS = Path(__file__).parents[2] / ".state/parts.json"
env = json.loads(PARTS.read_text())["env"] if PARTS.exists() else {}
prefix = env.pop("PATH_PREFIX", "")
if prefix and not os.environ["PATH"].startswith(prefix):
    os.environ["PATH"] = f"{prefix}{os.pathsep}{os.environ['PATH']}"
for name, value in env.items():
    os.environ.setdefault(name, value)
