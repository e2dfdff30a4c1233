"""Which images may run."""

from collections.abc import Iterator, Sequence

from policies.declared import COMPONENTS, DOCKER_IMAGE, PODS, containers, workloads
from policies.invariants import has_moving_tag
from policies.rule import Setting, Subject, Violation, Violations, rule

RUNNING = (*COMPONENTS, *DOCKER_IMAGE, *PODS)


@rule(
    on=RUNNING,
    reason="A tag such as `latest` is moved: the next start of the same program is another program, without a diff.",
    remedy="Write a version's tag, `name:1.2.3`, in `rag-platform:image…`.",
)
def images_are_pinned(subject: Subject) -> Violations:
    """Every image is pinned, so that what was tested is what runs."""
    for where, reference in _images(subject):
        if has_moving_tag(reference):
            name = reference.partition("@")[0].rpartition(":")[0] or reference
            yield Violation(where, f"{reference!r} may be another image tomorrow; write a version, as in {name}:1.2.3")


@rule(
    on=(*COMPONENTS, *PODS),
    reason="A tag can be pushed again: only a digest is the image that was tested.",
    remedy="Write the digest behind the tag, `name:1.2.3@sha256:…`; `docker buildx imagetools inspect name:1.2.3` "
    "prints it.",
    in_force=Setting(False, "true in production"),
)
def images_are_pinned_by_digest(subject: Subject, *, in_force: bool) -> Violations:
    """Every image is pinned by its digest."""
    for where, reference in _images(subject):
        if in_force and "@sha256:" not in reference and not has_moving_tag(reference):
            yield Violation(where, f"{reference!r} can be pushed again; write its digest too: {reference}@sha256:…")


@rule(
    on=RUNNING,
    reason="An image runs with the stack's secrets; from a registry that was not agreed on it may be anything.",
    remedy="Take the image from a registry of the list, or add its registry (or `registry/organisation`) to the "
    "setting `registries`.",
    registries=Setting(
        ["docker.io", "ghcr.io", "quay.io", "registry.k8s.io", "gcr.io"],
        "beginnings of allowed references; an image without a registry is from docker.io",
    ),
)
def images_come_from_known_registries(subject: Subject, *, registries: Sequence[str]) -> Violations:
    """Every image comes from a registry that is allowed."""
    for where, reference in _images(subject):
        full = _with_registry(reference)
        if not any(full.startswith(f"{known.rstrip('/')}/") for known in registries):
            allowed = ", ".join(registries)
            yield Violation(where, f"{full!r} is from none of {allowed}; take it from one of them, or allow its own")


def _images(subject: Subject) -> Iterator[tuple[str, str]]:
    """Where, and which; what is built from this repository is named by its content and comes from nowhere."""
    declared = [(subject.at(name), workload.get("image")) for name, workload in workloads(subject)]
    run = [(where, container.get("image")) for where, container in containers(subject)]
    pulled = [] if subject.inputs.get("build") else [(subject.name, subject.inputs.get("name"))]
    for where, image in [*declared, *run, *(pulled if subject.type in DOCKER_IMAGE else [])]:
        if isinstance(image, str):
            yield where, image


def _with_registry(reference: str) -> str:
    first, slash, _ = reference.partition("/")
    named = slash and (set(".:") & set(first) or first == "localhost")
    return reference if named else f"docker.io/{reference if slash else f'library/{reference}'}"
