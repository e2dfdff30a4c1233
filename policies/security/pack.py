"""The rules of this pack."""

from policies.pack import Pack
from policies.security import (
    bounds_rules,
    exception_rules,
    exposure_rules,
    image_rules,
    label_rules,
    pod_rules,
    privilege_rules,
    secret_rules,
)

PACK = Pack(
    name="security",
    title="Nothing given away",
    rules=(
        *image_rules.RULES,
        *secret_rules.RULES,
        *exposure_rules.RULES,
        *privilege_rules.RULES,
        *pod_rules.RULES,
        *bounds_rules.RULES,
        *label_rules.RULES,
        *exception_rules.RULES,
    ),
)
