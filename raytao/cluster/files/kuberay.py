"""KubeRay's RayCluster and RayJob, version v1: the fields that raytao's files use, strictly.

KubeRay's own schema leaves some of it open: a submission mode may be any text there, and a limit
that is left out is two thousand million pods.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from raytao.cluster.files.pods import Metadata, Template
from raytao.cluster.files.strict import Camel, Count


class Auth(Camel):
    """Who may talk to the cluster."""

    mode: Literal["disabled", "token"] = "token"
    secret_name: str | None = None
    enable_k8s_token_auth: bool = Field(default=False, alias="enableK8sTokenAuth")


class Autoscaler(Camel):
    """Ray's autoscaler beside the head."""

    version: Literal["v1", "v2"] | None = None
    idle_timeout_seconds: Count | None = None
    upscaling_mode: Literal["Default", "Aggressive", "Conservative"] | None = None

    others: ClassVar = (
        *("args", "command", "env", "envFrom", "image", "imagePullPolicy", "resources"),
        *("securityContext", "volumeMounts"),
    )


class Head(Camel):
    """The pod that every run's driver is on."""

    template: Template
    ray_start_params: dict[str, str] = Field({})
    service_type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    enable_ingress: bool = False
    labels: dict[str, str] = Field({})
    resources: dict[str, str] = Field({})

    others: ClassVar = ("headService", "ingressOptions")


class Workers(Camel):
    """A group of alike pods, between two numbers."""

    group_name: str
    min_replicas: Count
    max_replicas: Count
    template: Template
    replicas: Count = 0
    num_of_hosts: Annotated[int, Field(ge=1)] = 1
    ray_start_params: dict[str, str] = Field({})
    idle_timeout_seconds: Count | None = None
    labels: dict[str, str] = Field({})
    resources: dict[str, str] = Field({})
    suspend: bool = False
    priority: int = 0

    others: ClassVar = ("scaleStrategy",)


class Policy(Camel):
    """The network policy that KubeRay itself can make."""

    mode: Literal["DenyAll", "DenyAllIngress", "DenyAllEgress"] = "DenyAll"

    others: ClassVar = ("head", "worker", "workerGroups")


class ClusterSpec(Camel):
    """A cluster: one head, and groups of workers."""

    head_group_spec: Head
    worker_group_specs: list[Workers] = Field([])
    ray_version: str | None = None
    auth_options: Auth | None = None
    enable_in_tree_autoscaling: bool = False
    autoscaler_options: Autoscaler | None = None
    network_policy: Policy | None = None
    suspend: bool = False

    others: ClassVar = (
        *("gcsFaultToleranceOptions", "headServiceAnnotations", "historyServerOptions"),
        *("managedBy", "tlsOptions", "upgradeStrategy"),
    )


class JobSpec(Camel):
    """A run, and the cluster that comes for it."""

    entrypoint: str
    ray_cluster_spec: ClusterSpec | None = None
    cluster_selector: dict[str, str] = Field({})
    submission_mode: Literal["K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode"] = (
        "K8sJobMode"
    )
    shutdown_after_job_finishes: bool = False
    ttl_seconds_after_finished: Count = 0
    active_deadline_seconds: Annotated[int, Field(ge=1)] | None = None
    backoff_limit: Count = 0
    entrypoint_num_cpus: Annotated[float, Field(ge=0)] | None = None
    entrypoint_num_gpus: Annotated[float, Field(ge=0)] | None = None
    runtime_env_yaml: str | None = Field(default=None, alias="runtimeEnvYAML")
    submitter_config: dict[str, Any] | None = None
    suspend: bool = False
    job_id: str | None = None

    others: ClassVar = (
        *("deletionStrategy", "entrypointResources", "managedBy", "metadata"),
        *("preRunningDeadlineSeconds", "submitterPodTemplate"),
    )


class RayCluster(Camel):
    """A cluster that stays."""

    api_version: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: ClusterSpec


class RayJob(Camel):
    """A run with a cluster of its own."""

    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: JobSpec
