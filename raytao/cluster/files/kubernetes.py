"""Manifests for Kubernetes: KubeRay's kinds, and the network policy around their pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from pydantic import Field

from raytao.cluster.files.entrypoints import Verify, entrypoint_findings
from raytao.cluster.files.everywhere import MOST_WORKERS, private_port
from raytao.cluster.files.finding import Finding, Keys, Manifest, dotted
from raytao.cluster.files.images import objection_to_image, objection_to_pin, ray_here
from raytao.cluster.files.kuberay import RayCluster, RayJob
from raytao.cluster.files.pods import Metadata
from raytao.cluster.files.strict import Camel, Strict, mistakes

KEYS: Final = ("apiVersion", "kind", "metadata", "spec")
"""Its keys: they tell such a file from others."""

LEAST_GRACE: Final = 60
"""Seconds that a checkpoint may need when a machine is taken away."""

SPOT_LABELS: Final = {
    "cloud.google.com/gke-spot": "true",
    "cloud.google.com/gke-preemptible": "true",
    "eks.amazonaws.com/capacityType": "SPOT",
    "karpenter.sh/capacity-type": "spot",
    "kubernetes.azure.com/scalesetpriority": "spot",
}
"""How clouds mark machines that can be taken away."""

_KUBERAYS: Final[Mapping[str, type[Strict]]] = {"RayCluster": RayCluster, "RayJob": RayJob}


class Rule(Camel):
    """Whom, and on which ports."""

    sources: list[dict[str, Any]] = Field([], alias="from")
    targets: list[dict[str, Any]] = Field([], alias="to")
    ports: list[dict[str, Any]] = Field([])


class PolicySpec(Camel):
    """Which pods are meant, and who may talk to them."""

    pod_selector: dict[str, Any]
    policy_types: list[Literal["Ingress", "Egress"]] = Field(["Ingress"])
    ingress: list[Rule] = Field([])
    egress: list[Rule] = Field([])


class NetworkPolicy(Camel):
    """Kubernetes' own network policy."""

    api_version: Literal["networking.k8s.io/v1"]
    kind: Literal["NetworkPolicy"]
    metadata: Metadata
    spec: PolicySpec


def check_kubernetes(manifest: Manifest, verify: Verify) -> list[Finding]:
    """Everything that is wrong with one manifest. Kinds that are no cluster's are passed over."""
    kind = manifest.get("kind")
    if kind == "NetworkPolicy":
        return [*mistakes(NetworkPolicy, manifest), *_ingress(manifest)]
    if kind == "Secret":
        return list(_secret(manifest))
    if not isinstance(kind, str) or kind not in _KUBERAYS:
        return []
    found = mistakes(_KUBERAYS[kind], manifest)
    below: Keys = ("spec",)
    if kind == "RayJob":
        found += [*_job(manifest), *_entrypoint(manifest, verify)]
        below = ("spec", "rayClusterSpec")
    if isinstance(manifest.get(*below), dict):
        found += [*_doors(manifest, below), *_head(manifest, below)]
        found += [*_version(manifest, below), *_groups(manifest, below)]
    return found


def _job(manifest: Manifest) -> Iterator[Finding]:
    """A run that is over, or hangs, must not go on costing."""
    spec = manifest.mapping("spec")
    if not spec.get("rayClusterSpec") and not spec.get("clusterSelector"):
        rule = "the run has no cluster: neither rayClusterSpec nor clusterSelector is given"
        remedy = "add rayClusterSpec: …"
        yield Finding(manifest.where("spec"), "spec.rayClusterSpec", "", rule, remedy)
    if not spec.get("activeDeadlineSeconds"):
        rule, remedy = (
            "nothing ends a run that hangs: no cap on cost",
            "add the longest you pay for",
        )
        yield Finding(manifest.where("spec"), "spec.activeDeadlineSeconds", "", rule, remedy)
    if spec.get("rayClusterSpec") and spec.get("shutdownAfterJobFinishes") is not True:
        key = "shutdownAfterJobFinishes"
        rule, remedy = "the cluster stays, and costs, when the run is over", f"write {key}: true"
        yield manifest.finding(("spec", key), rule, remedy, value=spec.get(key, False))


def _entrypoint(manifest: Manifest, verify: Verify) -> Iterator[Finding]:
    keys: Keys = ("spec", "entrypoint")
    command = manifest.get(*keys)
    again = manifest.get("spec", "backoffLimit")
    if isinstance(command, str):
        yield from entrypoint_findings(
            command,
            dotted(keys),
            lambda word: manifest.where(*keys, word=word),
            verify,
            repeated=isinstance(again, int) and again > 0,
        )


def _doors(manifest: Manifest, below: Keys) -> Iterator[Finding]:
    """Who may talk to the cluster: those with the token, from inside."""
    mode = manifest.get(*below, "authOptions", "mode")
    if mode is None:
        rule = "KubeRay binds the job server to all addresses: it must ask for a token"
        key = dotted((*below, "authOptions.mode"))
        remedy = "add authOptions: {mode: token}"
        yield Finding(manifest.where(*below, "authOptions"), key, "", rule, remedy)
    elif mode == "disabled":
        rule = "whoever reaches the pod can run any command on the cluster"
        yield manifest.finding((*below, "authOptions", "mode"), rule, "write mode: token")
    head = (*below, "headGroupSpec")
    service = manifest.get(*head, "serviceType")
    if service in ("NodePort", "LoadBalancer"):
        rule = "it opens 8265, 6379 and 10001 to the outside"
        remedy = "write ClusterIP, and reach it by kubectl port-forward"
        yield manifest.finding((*head, "serviceType"), rule, remedy)
    if manifest.get(*head, "enableIngress") is True:
        remedy = "delete it, and reach the job server by kubectl port-forward"
        yield manifest.finding((*head, "enableIngress"), "it opens 8265 to the outside", remedy)
    for pod in _pods(manifest, below):
        if manifest.get(*pod, "hostNetwork") is True:
            rule = "Ray's ports are then the machine's, and no network policy holds them shut"
            yield manifest.finding((*pod, "hostNetwork"), rule, "delete it")


def _head(manifest: Manifest, below: Keys) -> Iterator[Finding]:
    head = (*below, "headGroupSpec")
    params: Keys = (*head, "rayStartParams")
    cpus = manifest.get(*params, "num-cpus")
    if isinstance(cpus, str | type(None)) and cpus != "0":
        at = (*params, "num-cpus")
        rule = "the head is for the drivers of runs: a trial there takes their memory"
        place, shown = manifest.where(*at), "" if cpus is None else repr(cpus)
        yield Finding(place, dotted(at), shown, rule, 'write num-cpus: "0"')
    selector = (*head, "template", "spec", "nodeSelector")
    for label in _spot(manifest, selector):
        rule = "a head that is taken away ends the cluster, with every run on it"
        yield manifest.finding((*selector, label), rule, "take spot machines for workers only")


def _version(manifest: Manifest, below: Keys) -> Iterator[Finding]:
    stated = manifest.get(*below, "rayVersion")
    if isinstance(stated, str) and ".".join(stated.split(".")[:2]) != ray_here():
        rule = f"{ray_here()} is installed here, and the image must have it, too"
        yield manifest.finding((*below, "rayVersion"), rule, f"use Ray {ray_here()} everywhere")
    for pod in _pods(manifest, below):
        for kind in ("initContainers", "containers"):
            for number, container in manifest.mappings(*pod, kind):
                image = container.get("image")
                runs_ray = kind == "containers" and number == 0
                judge = objection_to_image if runs_ray else objection_to_pin
                objection = judge(image) if isinstance(image, str) else None
                if objection is not None:
                    yield manifest.finding((*pod, kind, number, "image"), *objection)


def _groups(manifest: Manifest, below: Keys) -> Iterator[Finding]:
    for number, group in manifest.mappings(*below, "workerGroupSpecs"):
        way: Keys = (*below, "workerGroupSpecs", number)
        least, most = group.get("minReplicas"), group.get("maxReplicas")
        if isinstance(most, int) and most > MOST_WORKERS:
            rule = f"a limit above {MOST_WORKERS:,} pods limits no cost"
            remedy = "write how many you are ready to pay for"
            yield manifest.finding((*way, "maxReplicas"), rule, remedy)
        if isinstance(least, int) and isinstance(most, int) and least > most:
            rule = f"it is above maxReplicas, {most}"
            yield manifest.finding((*way, "minReplicas"), rule, "lower it")
        pod = (*way, "template", "spec")
        grace = manifest.get(*pod, "terminationGracePeriodSeconds")
        if any(_spot(manifest, (*pod, "nodeSelector"))) and (
            grace is None or (isinstance(grace, int) and grace < LEAST_GRACE)
        ):
            at = (*pod, "terminationGracePeriodSeconds")
            rule = "a trial needs the time for a checkpoint when its machine is taken"
            shown = "" if grace is None else str(grace)
            remedy = f"write at least {LEAST_GRACE}"
            yield Finding(manifest.where(*at), dotted(at), shown, rule, remedy)
        yield from _gpus(manifest, pod)


def _gpus(manifest: Manifest, pod: Keys) -> Iterator[Finding]:
    """Ray counts the GPUs of the limits; a request alone gives a pod none."""
    for number, _ in manifest.mappings(*pod, "containers"):
        way = (*pod, "containers", number, "resources")
        requests, limits = (manifest.mapping(*way, key) for key in ("requests", "limits"))
        if "nvidia.com/gpu" in requests and "nvidia.com/gpu" not in limits:
            rule = "GPUs are given by limits; a request alone is refused"
            at = (*way, "requests", "nvidia.com/gpu")
            yield manifest.finding(at, rule, "write it under limits")


def _ingress(manifest: Manifest) -> Iterator[Finding]:
    """Rules that let anybody in, to a port of Ray's or to all of them."""
    way: Keys = ("spec", "ingress")
    for number, rule in manifest.mappings(*way):
        peers = manifest.mappings(*way, number, "from")
        cidrs = [manifest.get(*way, number, "from", n, "ipBlock", "cidr") for n, _ in peers]
        anybody = not rule.get("from") or "0.0.0.0/0" in cidrs or "::/0" in cidrs
        ports = [port.get("port") for _, port in manifest.mappings(*way, number, "ports")]
        open_to = [p for p in ports if isinstance(p, int) and private_port(p, p)]
        if anybody and (open_to or not ports):
            which = f"port {open_to[0]}" if open_to else "every port"
            remedy = "say from whom: podSelector, namespaceSelector or a narrow ipBlock"
            text = f"it lets anybody in to {which}"
            yield manifest.finding((*way, number), text, remedy, value=rule)


def _secret(manifest: Manifest) -> Iterator[Finding]:
    for key in ("data", "stringData"):
        for name in manifest.mapping(key):
            rule = "a secret must not be in the file"
            remedy = "make it with `kubectl create secret`; KubeRay makes the token's itself"
            at: Keys = (key, name)
            yield Finding(manifest.where(*at), dotted(at), "…", rule, remedy)


def _pods(manifest: Manifest, below: Keys) -> list[Keys]:
    groups = manifest.mappings(*below, "workerGroupSpecs")
    ways = [("headGroupSpec",), *(("workerGroupSpecs", number) for number, _ in groups)]
    return [(*below, *way, "template", "spec") for way in ways]


def _spot(manifest: Manifest, selector: Keys) -> Iterator[str]:
    for label, value in manifest.mapping(*selector).items():
        if SPOT_LABELS.get(label) == str(value):
            yield label
