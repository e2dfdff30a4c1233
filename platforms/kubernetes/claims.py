"""What is asked of a cluster's storage."""

from platforms.kubernetes.cluster import Manifest


def claim_spec(size_gib: int, storage_class: str) -> Manifest:
    """One writer, of that class, or of the cluster's default."""
    spec: Manifest = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": f"{size_gib}Gi"}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    return spec
