"""The policy packs, as the engine is told to run them."""

from pathlib import Path
from typing import Any

from ops.paths import ROOT

PACKS = ROOT / "policies"  # all of them in one process: it starts once


def policy_options(stack: str, root: Path = PACKS) -> dict[str, Any]:
    """Options for a preview: the packs, and what they ask of this stack; a stack without a file is asked the least."""
    config = root / "config" / f"{stack}.json"
    chosen = config if config.exists() else root / "config" / "dev.json"
    return {"policy_packs": [str(root)], "policy_pack_configs": [str(chosen)]}
