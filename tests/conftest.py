"""Every test runs with the parts of this machine in reach, as `make up` does."""

from ops.parts import load_parts
from ops.stack import use_parts

use_parts(load_parts())
