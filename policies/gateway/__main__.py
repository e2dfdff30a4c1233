"""Serves this pack to the engine: `pulumi preview --policy-pack policies/gateway`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the engine starts it from anywhere

from policies.catalogue import GATEWAY
from policies.crossguard import serve

serve(GATEWAY)
