"""A workload's files as ConfigMaps and Secrets, named by their content: another content is another object."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pulumi

from platforms.kubernetes.cluster import Cluster, Manifest
from platforms.workload import Workload


def key_of(path: str) -> str:
    """The path as a key of a ConfigMap, which may hold no slash."""
    return path.strip("/").replace("/", "__")


def digest(content: Any) -> str:
    """Ten characters that change with the content."""
    return hashlib.sha256(_text(content)).hexdigest()[:10]


def keyed_digest(content: Any, key: str) -> str:
    """Ten characters that change with the content; only with the key can a guess at the content be checked."""
    return hmac.new(key.encode(), _text(content), hashlib.sha256).hexdigest()[:10]


def _text(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True).encode()


def config_map(name: str, files: Mapping[str, str], cluster: Cluster) -> Manifest:
    """The plain files."""
    data = {key_of(path): content for path, content in files.items()}
    return {"metadata": cluster.metadata(f"{name}-{digest(data)}", name), "data": data, "immutable": True}


def secret(
    name: str, files: Mapping[str, pulumi.Input[str]], cluster: Cluster, naming_key: pulumi.Input[str]
) -> Manifest:
    """The secret files; the name changes with the content, and reveals nothing of it without the key."""
    known = pulumi.Output.all(**{key_of(path): content for path, content in files.items()})
    data: pulumi.Output[Any] = pulumi.Output.secret(known.apply(dict))
    both = pulumi.Output.all(known, naming_key)
    named = pulumi.Output.unsecret(both.apply(lambda pair: f"{name}-{keyed_digest(*pair)}"))
    return {"metadata": cluster.metadata(named, name), "stringData": data, "immutable": True, "type": "Opaque"}


def literal(text: str) -> str:
    """The text as a word of a command or a value of the environment, in which the kubelet replaces `$(NAME)`."""
    return text.replace("$", "$$")


def environment(workload: Workload, names: Mapping[str, pulumi.Input[str]]) -> list[Manifest]:
    """The plain variables, and those whose values stand in the Secret that `names` has under `secret-env`."""
    plain = [{"name": key, "value": literal(value)} for key, value in sorted(workload.env.items())]
    secret = [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": names["secret-env"], "key": key}}}
        for key in sorted(workload.secret_env)
    ]
    return [*plain, *secret]


def decoded(data: Mapping[str, str] | None) -> dict[str, str]:
    """What a Secret holds, in the clear."""
    return {key: base64.b64decode(value).decode() for key, value in (data or {}).items()}


def mounts(workload: Workload) -> list[Manifest]:
    """Each file by itself, so that what the image has beside it stays."""
    return [
        {"name": volume, "mountPath": path, "subPath": key_of(path), "readOnly": True}
        for volume, files in (("files", workload.files), ("secret-files", workload.secret_files))
        for path in sorted(files)
    ]


def volumes(names: Mapping[str, pulumi.Input[str]]) -> list[Manifest]:
    """The volumes behind the mounts; `names` has the ConfigMap under `files`, the Secret under `secret-files`."""
    found: list[Manifest] = []
    if "files" in names:
        found.append({"name": "files", "configMap": {"name": names["files"], "defaultMode": 0o444}})
    if "secret-files" in names:
        # Read by the pod's own group only.
        found.append({"name": "secret-files", "secret": {"secretName": names["secret-files"], "defaultMode": 0o440}})
    return found
