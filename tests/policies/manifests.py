"""A small good stack on Kubernetes, as pulumi-kubernetes registers it."""

from typing import Any

from policies.rule import Subject

LABELS = {"app": "qdrant"}
POD_SECURITY = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
RESOURCES = {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}


def container(name: str, image: str, port: int) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "command": ["bash", "/start.sh"],
        "env": [{"name": "LEVEL", "value": "INFO"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys"}}}],
        "ports": [{"containerPort": port}],
        "resources": RESOURCES,
        "securityContext": CONTAINER_SECURITY,
    }


STATEFUL_SET = Subject(
    type="kubernetes:apps/v1:StatefulSet",
    name="qdrant-set",
    protected=True,
    inputs={
        "metadata": {"name": "qdrant", "labels": LABELS},
        "spec": {
            "replicas": 3,
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "template": {
                "metadata": {"labels": LABELS},
                "spec": {
                    "securityContext": POD_SECURITY,
                    "containers": [container("qdrant", f"qdrant/qdrant:v1.19.2@sha256:{'a' * 64}", 6335)],
                    "volumes": [{"name": "keys", "secret": {"secretName": "keys"}}],
                    "topologySpreadConstraints": [{"topologyKey": "kubernetes.io/hostname", "maxSkew": 1}],
                },
            },
            "volumeClaimTemplates": [{"spec": {"storageClassName": "gp3"}}],
        },
    },
)
DEPLOYMENT = Subject(
    type="kubernetes:apps/v1:Deployment",
    name="kong-deployment",
    inputs={
        "spec": {
            "replicas": 2,
            "template": {
                "metadata": {"labels": {"app": "kong"}},
                "spec": {
                    "securityContext": POD_SECURITY,
                    "containers": [container("kong", f"kong:3.9.3@sha256:{'b' * 64}", 8000)],
                },
            },
        }
    },
)
BUDGET = Subject(
    type="kubernetes:policy/v1:PodDisruptionBudget",
    name="qdrant-budget",
    inputs={"spec": {"maxUnavailable": 1, "selector": {"matchLabels": LABELS}}},
)
FENCE = Subject(
    type="kubernetes:networking.k8s.io/v1:NetworkPolicy",
    name="qdrant-fence",
    inputs={
        "spec": {
            "podSelector": {"matchLabels": LABELS},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"ports": [{"port": 6333}], "from": [{"podSelector": {}}]},
                {"ports": [{"port": 6335}], "from": [{"podSelector": {"matchLabels": LABELS}}]},
            ],
            "egress": [
                {
                    "ports": [{"port": 443}],
                    "to": [
                        {
                            "ipBlock": {
                                "cidr": "128.0.0.0/1",
                                "except": ["169.254.0.0/16", "168.63.129.16/32", "192.0.0.192/32"],
                            }
                        },
                        {"podSelector": {"matchLabels": LABELS}},
                    ],
                }
            ],
        }
    },
)
EDGE = Subject(
    type="kubernetes:networking.k8s.io/v1:Ingress",
    name="edge",
    inputs={"spec": {"rules": [{"host": "rag.example"}], "tls": [{"hosts": ["rag.example"], "secretName": "cert"}]}},
)
FRONT = Subject(
    type="kubernetes:core/v1:Service",
    name="front",
    inputs={"spec": {"type": "LoadBalancer", "ports": [{"name": "proxy-tls", "port": 443, "targetPort": 8443}]}},
)
NAMESPACE = Subject(
    type="kubernetes:core/v1:Namespace",
    name="namespace",
    inputs={"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
)
CLAIM = Subject(
    type="kubernetes:core/v1:PersistentVolumeClaim",
    name="claim",
    protected=True,
    inputs={"spec": {"storageClassName": "gp3"}},
)
CONFIG_MAP = Subject(type="kubernetes:core/v1:ConfigMap", name="settings", inputs={"data": {"level": "INFO"}})

GOOD = (STATEFUL_SET, DEPLOYMENT, BUDGET, FENCE, EDGE, FRONT, NAMESPACE, CLAIM, CONFIG_MAP)
