"""Serves all packs as one: `pulumi preview --policy-pack policies`, which costs one start and not three."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the engine starts it from anywhere

from policies.catalogue import ALL
from policies.crossguard import serve

serve(ALL)
