"""Objects of Kubernetes, from a cluster by kubectl or from manifests, and what can be read from them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Any

import yaml

from readygate.areas.containers.actual import is_pinned
from readygate.areas.servers.secrets import names_a_secret
from readygate.errors import CouldNotLook

# By kind: the part of the API that has it.
APIS = {
    "Deployment": "apis/apps/v1",
    "StatefulSet": "apis/apps/v1",
    "DaemonSet": "apis/apps/v1",
    "HorizontalPodAutoscaler": "apis/autoscaling/v2",
    "PodDisruptionBudget": "apis/policy/v1",
    "Pod": "api/v1",
    "Service": "api/v1",
    "EndpointSlice": "apis/discovery.k8s.io/v1",
    "Ingress": "apis/networking.k8s.io/v1",
}
_PLURALS = {"Ingress": "ingresses"}
_WITHIN_S = 20

_QUANTITY = re.compile(r"([0-9.]+(?:[eE][-+]?[0-9]+)?)(m|[kMGTP]|[KMGTP]i)?")
_FACTORS = {"": 1.0, "m": 0.001, "k": 1e3, **{letter: 1e3**power for power, letter in enumerate("MGTP", start=2)}}
_FACTORS |= {f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTP", start=1)}

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a namespace is looked at: by a context of kubectl, or in manifests if that is empty."""

    namespace: str
    context: str = ""
    kubeconfig: str = ""
    manifests: tuple[str, ...] = ()

    def objects(self, kind: str) -> tuple[Object, ...]:
        """All objects of a kind. CouldNotLook: kubectl or the cluster does not answer, or a file can't be read."""
        if self.context:
            return tuple(_asked(self, kind))
        every = (each for pattern in self.manifests for each in _written(pattern))
        return tuple(each for each in every if each.get("kind") == kind and self._is_ours(each))

    def status_of(self, told: Object) -> Object:
        """What the cluster says of an object. CouldNotLook: manifests say nothing of what runs."""
        if not self.context:
            raise CouldNotLook(
                "manifests say what is wanted, not what runs",
                mend="look at the cluster for this: write its `context` instead of `manifests`",
            )
        return told.get("status") or {}

    def _is_ours(self, told: Object) -> bool:
        return bool(told.get("metadata", {}).get("namespace", self.namespace) == self.namespace)


def _asked(source: Source, kind: str) -> Iterator[Object]:
    plural = _PLURALS.get(kind, f"{kind.lower()}s")
    path = f"/{APIS[kind]}/namespaces/{source.namespace}/{plural}"
    command = ["kubectl", "--context", source.context, f"--request-timeout={_WITHIN_S}s", "get", "--raw", path]
    if source.kubeconfig:
        command[1:1] = ["--kubeconfig", source.kubeconfig]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN_S + 10, check=False)
    except FileNotFoundError:
        raise CouldNotLook("there is no kubectl here", cause="kubectl", mend="install kubectl") from None
    except subprocess.TimeoutExpired:
        raise _unreachable(source, f"no answer within {_WITHIN_S} s") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        if "forbidden" in said.lower():
            raise CouldNotLook(
                f"the cluster does not let this user list {plural}",
                cause=f"forbidden:{source.context}:{plural}",
                mend=f"bind a role to it that may list {plural} in {source.namespace}",
            )
        raise _unreachable(source, said)
    try:
        listed = json.loads(done.stdout)["items"]
    except (ValueError, KeyError, TypeError):
        raise _unreachable(source, f"{path} is not a list of {plural}") from None
    # In a list of one kind, the API leaves the kind of each out.
    yield from ({**each, "kind": kind} for each in listed or ())


def _unreachable(source: Source, said: str) -> CouldNotLook:
    return CouldNotLook(
        f"the cluster of context {source.context} can't be asked: {said}",
        cause=f"cluster:{source.context}",
        mend=f"try `kubectl --context {source.context} get deployments` by hand",
    )


def _written(pattern: str) -> Iterator[Object]:
    paths = [Path(name) for name in sorted(glob(pattern, recursive=True))]  # noqa: PTH207 - takes absolute ones too
    if not paths:
        raise CouldNotLook(
            f"{pattern} matches no file", cause=f"manifests:{pattern}", mend="render the manifests first"
        )
    for path in paths:
        try:
            documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeError, yaml.YAMLError) as error:
            raise CouldNotLook(
                f"{path} can't be read: {getattr(error, 'strerror', None) or 'it is not YAML'}",
                cause=f"manifests:{path}",
                mend="name rendered manifests, not templates",
            ) from None
        for each in documents:
            if isinstance(each, dict):
                yield from each.get("items") or () if each.get("kind") == "List" else (each,)


@dataclass(frozen=True, slots=True)
class Found:
    """An object that was looked for; None where there is none."""

    told: Object | None


def named(objects: tuple[Object, ...], name: str) -> Object | None:
    return next((each for each in objects if each["metadata"]["name"] == name), None)


def quantity(told: object) -> float | None:
    """A quantity such as 250m, 512Mi or 1.5 as a number; None where there is none."""
    found = None if told is None else _QUANTITY.fullmatch(str(told))
    if told is not None and not found:
        raise CouldNotLook(f"the quantity {told} is not understood here", mend="write it with one of m, Ki, Mi, Gi")
    return float(found[1]) * _FACTORS[found[2] or ""] if found else None


@dataclass(frozen=True, slots=True)
class ActualProbe:
    """A probe; times are in seconds. What the object leaves out is what Kubernetes takes instead."""

    path: str | None = None
    port: int | str | None = None
    delay_s: int | None = None
    period_s: int | None = None
    timeout_s: int | None = None
    failures: int | None = None


def read_probe(told: Object | None) -> ActualProbe:
    """The probe; all is None where there is none."""
    if not told:
        return ActualProbe()
    http = told.get("httpGet") or {}
    asked = http or told.get("tcpSocket") or told.get("grpc") or {}
    return ActualProbe(
        path=http.get("path", "/") if http else None,
        port=asked.get("port"),
        delay_s=told.get("initialDelaySeconds", 0),
        period_s=told.get("periodSeconds", 10),
        timeout_s=told.get("timeoutSeconds", 1),
        failures=told.get("failureThreshold", 3),
    )


@dataclass(frozen=True, slots=True)
class ActualPodContainer:
    """A container of a workload's template; all is None where there is none of that name."""

    image: str | None = None
    memory: int | None = None
    memory_request: int | None = None
    cpus: float | None = None
    cpu_request: float | None = None
    user: int | None = None
    non_root: bool | None = None
    privileged: bool | None = None
    new_privileges: bool | None = None
    read_only: bool | None = None
    added_capabilities: frozenset[str] | None = None
    dropped_capabilities: frozenset[str] | None = None
    literal_secrets: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    probes: Mapping[str, ActualProbe] = field(default_factory=dict)

    @property
    def pinned(self) -> bool | None:
        return None if self.image is None else is_pinned(self.image)


def read_pod_container(workload: Object | None, name: str) -> ActualPodContainer:
    """A container of the pods that a workload makes."""
    pod = _template(workload)
    found = [
        each for each in (*(pod.get("containers") or ()), *(pod.get("initContainers") or ())) if each["name"] == name
    ]
    if not found:
        return ActualPodContainer()
    told, security = found[0], {**(pod.get("securityContext") or {}), **(found[0].get("securityContext") or {})}
    resources = told.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    capabilities = security.get("capabilities") or {}
    literal = {each["name"]: each["value"] for each in told.get("env") or () if "value" in each}
    privileged = bool(security.get("privileged"))
    return ActualPodContainer(
        image=told.get("image"),
        memory=_whole(quantity(limits.get("memory"))),
        # What has a limit and no request is given the limit.
        memory_request=_whole(quantity(requests.get("memory", limits.get("memory")))),
        cpus=quantity(limits.get("cpu")),
        cpu_request=quantity(requests.get("cpu", limits.get("cpu"))),
        user=security.get("runAsUser"),
        non_root=bool(security.get("runAsNonRoot")) or (security.get("runAsUser") or 0) > 0,
        privileged=privileged,
        new_privileges=privileged or security.get("allowPrivilegeEscalation", True),
        read_only=bool(security.get("readOnlyRootFilesystem")),
        added_capabilities=frozenset(capabilities.get("add") or ()),
        dropped_capabilities=frozenset(capabilities.get("drop") or ()),
        literal_secrets=tuple(sorted(each for each, value in literal.items() if value and names_a_secret(each))),
        environment=literal,
        probes={kind: read_probe(told.get(f"{kind}Probe")) for kind in ("liveness", "readiness", "startup")},
    )


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)


def _template(workload: Object | None) -> Object:
    return ((workload or {}).get("spec") or {}).get("template", {}).get("spec") or {}


@dataclass(frozen=True, slots=True)
class ActualWorkload:
    """A workload as it is wanted; all is None where there is none."""

    exists: bool
    replicas: int | None = None
    strategy: str | None = None
    service_account: str | None = None
    host_network: bool | None = None


def read_workload(told: Object | None) -> ActualWorkload:
    """What is wanted of a workload; a DaemonSet has its replicas from the nodes, so only its status has them."""
    if told is None:
        return ActualWorkload(exists=False)
    spec, pod = told["spec"], _template(told)
    of_nodes = (told.get("status") or {}).get("desiredNumberScheduled")
    strategy = spec.get("strategy") or spec.get("updateStrategy") or {}
    return ActualWorkload(
        exists=True,
        replicas=of_nodes if told["kind"] == "DaemonSet" else spec.get("replicas", 1),
        strategy=strategy.get("type", "RollingUpdate"),
        service_account=pod.get("serviceAccountName", "default"),
        host_network=bool(pod.get("hostNetwork")),
    )


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far a workload is what is wanted of it; all is None where there is none."""

    ready: int | None = None
    is_complete: bool | None = None


def read_rollout(told: Object | None, status: Object) -> Rollout:
    """Complete is what `kubectl rollout status` calls so."""
    if told is None:
        return Rollout()
    seen = status.get("observedGeneration", 0) >= told["metadata"].get("generation", 0)
    if told["kind"] == "DaemonSet":
        wanted, ready = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
        counts = {status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)}
    else:
        wanted, ready = told["spec"].get("replicas", 1), status.get("readyReplicas", 0)
        available = status.get("availableReplicas", 0)
        if told["kind"] == "StatefulSet" and not told["spec"].get("minReadySeconds"):
            available = ready  # the same, and before 1.22 it alone is told
        # Pods of an older template that are still there count as replicas, and not as updated.
        counts = {status.get("replicas", 0), status.get("updatedReplicas", 0), available}
    return Rollout(ready, seen and counts == {wanted})


def guards(budget: Object, workload: Object | None) -> bool:
    """Whether a budget selects the pods of a workload."""
    labels = ((workload or {}).get("spec") or {}).get("template", {}).get("metadata", {}).get("labels") or {}
    return workload is not None and selects(budget["spec"].get("selector") or {}, labels)


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a selector takes what has these labels; an empty one takes all."""
    wanted = selector.get("matchLabels") or {}
    return wanted.items() <= labels.items() and all(
        _meets(labels.get(each["key"]), each["operator"], each.get("values") or ())
        for each in selector.get("matchExpressions") or ()
    )


def _meets(value: str | None, operator: str, values: Sequence[str]) -> bool:
    match operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            raise CouldNotLook(f"a selector with the operator {operator} is not understood here")


@dataclass(frozen=True, slots=True)
class ActualDisruption:
    """A disruption budget: numbers of pods, or shares such as 50%; None where it doesn't say."""

    min_available: int | str | None = None
    max_unavailable: int | str | None = None


def read_disruption(told: Object | None) -> ActualDisruption:
    """What the budget says; it says one of the two."""
    spec = (told or {}).get("spec") or {}
    return ActualDisruption(spec.get("minAvailable"), spec.get("maxUnavailable"))


@dataclass(frozen=True, slots=True)
class ActualIngress:
    """What an Ingress lets in; all is None where there is none."""

    hosts: frozenset[str] | None = None
    tls_hosts: frozenset[str] | None = None
    tls_secrets: frozenset[str] | None = None


def read_ingress(told: Object | None) -> ActualIngress:
    """The hosts by name; a rule without one takes every host, `*`."""
    if told is None:
        return ActualIngress()
    tls = told["spec"].get("tls") or ()
    return ActualIngress(
        hosts=frozenset(each.get("host", "*") for each in told["spec"].get("rules") or ()),
        tls_hosts=frozenset(host for each in tls for host in each.get("hosts") or ()),
        tls_secrets=frozenset(each["secretName"] for each in tls if "secretName" in each),
    )


def count_ready(slices: tuple[Object, ...], service: str) -> int | None:
    """How many endpoints of a Service are ready; None where no slice is its own."""
    own = [each for each in slices if each["metadata"].get("labels", {}).get("kubernetes.io/service-name") == service]
    # The same pod is in a slice for each family of addresses.
    ready = {
        str(endpoint.get("targetRef") or endpoint["addresses"])
        for each in own
        for endpoint in each.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready") is not False
    }
    return len(ready) if own else None
