"""Pods of Kubernetes, as far as a Ray cluster's files use them. Other keys are known by name."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from raytao.cluster.files.strict import Camel, Count, Strict

Quantity = int | Annotated[str, Field(pattern=r"^\d+(\.\d+)?([KMGTPE]i|[mkMGTPE])?$")]
"""CPUs, bytes or devices: a number, or text such as ``500m`` and ``8Gi``."""


class Variable(Camel):
    """One variable of a container's environment."""

    name: str
    value: str | None = None
    value_from: dict[str, Any] | None = None


class Port(Camel):
    """One port that a container names."""

    container_port: Annotated[int, Field(ge=1, le=65535)]
    name: str | None = None
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"

    others: ClassVar = ("hostIP", "hostPort")


class Amounts(Camel):
    """What a container asks for, and what it may use at most."""

    requests: dict[str, Quantity] = Field({})
    limits: dict[str, Quantity] = Field({})

    others: ClassVar = ("claims",)


class Container(Camel):
    """One container of a pod."""

    name: str
    image: str
    env: list[Variable] = Field([])
    ports: list[Port] = Field([])
    resources: Amounts | None = None
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    command: list[str] = Field([])
    args: list[str] = Field([])

    others: ClassVar = (
        *("envFrom", "lifecycle", "livenessProbe", "readinessProbe", "resizePolicy"),
        *("restartPolicy", "restartPolicyRules", "securityContext", "startupProbe", "stdin"),
        *("stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty"),
        *("volumeDevices", "volumeMounts", "workingDir"),
    )


class Toleration(Camel):
    """Which marked machines a pod puts up with."""

    key: str | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class Pod(Camel):
    """The pod of a head, or of a worker."""

    containers: Annotated[list[Container], Field(min_length=1)]
    init_containers: list[Container] = Field([])
    node_selector: dict[str, str] = Field({})
    tolerations: list[Toleration] = Field([])
    termination_grace_period_seconds: Count | None = None
    restart_policy: Literal["Always", "OnFailure", "Never"] | None = None
    service_account_name: str | None = None
    host_network: bool = False

    others: ClassVar = (
        *("activeDeadlineSeconds", "affinity", "automountServiceAccountToken", "dnsConfig"),
        *("dnsPolicy", "enableServiceLinks", "ephemeralContainers", "hostAliases", "hostIPC"),
        *("hostPID", "hostUsers", "hostname", "hostnameOverride", "imagePullSecrets"),
        *("nodeName", "os", "overhead", "preemptionPolicy", "priority", "priorityClassName"),
        *("readinessGates", "resourceClaims", "resources", "runtimeClassName", "schedulerName"),
        *("schedulingGates", "schedulingGroup", "securityContext", "serviceAccount"),
        *("setHostnameAsFQDN", "shareProcessNamespace", "subdomain"),
        *("topologySpreadConstraints", "volumes"),
    )


class Metadata(Camel):
    """An object's name and marks."""

    name: str | None = None
    namespace: str | None = None
    labels: dict[str, str] = Field({})
    annotations: dict[str, str] = Field({})

    others: ClassVar = ("generateName", "finalizers", "ownerReferences")


class Template(Strict):
    """What every pod of a group is made of."""

    spec: Pod
    metadata: Metadata | None = None
