"""What a Ray cluster file says in a cloud's own words, which Ray hands on unread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any, Final

from raytao.cluster.files.everywhere import private_port
from raytao.cluster.files.finding import Finding, Keys, Manifest, dotted
from raytao.types import Json

CLOUDS: Final = ("aws", "gcp", "azure", "aliyun", "vsphere")
"""Providers whose machines cost money and are reached over a network."""

NEAR: Final = 0.8
"""How alike an unknown key and a known one must be for a slip: clouds have more keys."""

_NODE_KEYS: Final = {
    "aws": (
        *("BlockDeviceMappings", "CpuOptions", "EbsOptimized", "IamInstanceProfile", "ImageId"),
        *("InstanceInitiatedShutdownBehavior", "InstanceMarketOptions", "InstanceType"),
        *("KeyName", "LaunchTemplate", "MetadataOptions", "Monitoring", "NetworkInterfaces"),
        *("Placement", "SecurityGroupIds", "SubnetId", "SubnetIds", "TagSpecifications"),
        "UserData",
    ),
    "gcp": (
        *("canIpForward", "disks", "guestAccelerators", "hostname", "labels", "machineType"),
        *("metadata", "minCpuPlatform", "networkInterfaces", "reservationAffinity"),
        *("scheduling", "serviceAccounts", "shieldedInstanceConfig", "sourceInstanceTemplate"),
        "tags",
    ),
    "azure": ("azure_arm_parameters", "tags"),
}

_ARM_KEYS: Final = (
    *("adminUsername", "availability_zone", "billingProfile", "enableAcceleratedNetworking"),
    *("evictionPolicy", "imageId", "imageOffer", "imagePublisher", "imageSku", "imageVersion"),
    *("osDiskSize", "priority", "publicKey", "vmSize", "zones"),
)


def spot_key(provider: str, node: Json) -> Keys | None:
    """The keys in a ``node_config`` that make it a machine that can be taken away."""
    market = _at(node, "InstanceMarketOptions", "MarketType")
    if provider == "aws" and market == "spot":
        return ("InstanceMarketOptions", "MarketType")
    if provider == "azure" and _at(node, "azure_arm_parameters", "priority") == "Spot":
        return ("azure_arm_parameters", "priority")
    if provider == "gcp":
        for number, entry in enumerate(_scheduling(node)):
            for key, taken in (("preemptible", True), ("provisioningModel", "SPOT")):
                if entry.get(key) == taken:
                    listed = isinstance(node["scheduling"], list)
                    return ("scheduling", number, key) if listed else ("scheduling", key)
    return None


def slips(manifest: Manifest, provider: str, keys: Keys) -> Iterator[Finding]:
    """Keys of a ``node_config`` that are nearly one of the cloud's."""
    yield from _slips(manifest, keys, _NODE_KEYS.get(provider, ()))
    yield from _slips(manifest, (*keys, "azure_arm_parameters"), _ARM_KEYS)


def opened(manifest: Manifest) -> Iterator[Finding]:
    """Ports of Ray's that an AWS security group would let in, whoever asks."""
    way: Keys = ("provider", "security_group", "IpPermissions")
    for number, rule in enumerate(manifest.listed(*way)):
        from_anywhere = _at(rule, "IpRanges") or _at(rule, "Ipv6Ranges")
        low, high = _at(rule, "FromPort"), _at(rule, "ToPort")
        if _at(rule, "IpProtocol") in ("-1", -1):
            low, high = 0, 65535
        if from_anywhere and isinstance(low, int) and isinstance(high, int):
            port = private_port(low, high)
            if port is not None:
                yield manifest.finding(
                    (*way, number, "FromPort"),
                    f"it opens {port[0]}, {port[1]}: that is a shell for whoever finds it",
                    "delete the entry; `ray dashboard` leads to the job server through ssh",
                    value=f"{low}-{high}",
                )


def _slips(manifest: Manifest, keys: Keys, known: Iterable[str]) -> Iterator[Finding]:
    there = manifest.get(*keys)
    names = list(known)
    for key in there if isinstance(there, dict) else ():
        near = [] if key in names else get_close_matches(key, names, n=1, cutoff=NEAR)
        if near:
            at = (*keys, key)
            rule = "the cloud knows no such key, and Ray does not look"
            yield Finding(
                manifest.where(*at), dotted(at), "unknown", rule, f"did you mean {near[0]!r}?"
            )


def _scheduling(node: Json) -> list[dict[str, Any]]:
    found = _at(node, "scheduling") or []
    entries = found if isinstance(found, list) else [found]
    return [entry for entry in entries if isinstance(entry, dict)]


def _at(value: Json, *keys: str) -> Json:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
