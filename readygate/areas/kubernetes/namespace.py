"""What a namespace of Kubernetes may be declared to be, in a cluster or in the manifests that make it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from readygate.areas.kubernetes.autoscaling import (
    ActualAutoscaling,
    Scaling,
    looks_after,
    read_autoscaling,
    read_scaling,
)
from readygate.areas.kubernetes.objects import (
    ActualDisruption,
    ActualIngress,
    ActualPodContainer,
    ActualProbe,
    ActualWorkload,
    Found,
    Object,
    Rollout,
    Source,
    count_ready,
    guards,
    named,
    read_disruption,
    read_ingress,
    read_pod_container,
    read_rollout,
    read_workload,
)
from readygate.areas.kubernetes.pods import WorkloadPods, read_pods
from readygate.areas.servers.secrets import public_key_name
from readygate.errors import Mistake
from readygate.expectation import (
    AtLeastCount,
    AtMostCount,
    Count,
    Duration,
    Flag,
    Json,
    Number,
    Percent,
    Size,
    Text,
    TextSet,
)
from readygate.spec import Spec


class Probe(Spec):
    """How Kubernetes asks a container whether it lives, or may be sent requests."""

    area: ClassVar[str] = "probe"
    noun: ClassVar[str] = "probe"

    path: Text | None = Field(None, description="The path that it gets by HTTP.")
    port: Json | None = Field(None, description="The port that it asks, by number or name.")
    delay: Duration | None = Field(None, description="How long it waits before the first time.")
    period: Duration | None = Field(None, description="How often it asks.")
    timeout: Duration | None = Field(None, description="How long it waits for the answer.")
    failures: Count | None = Field(None, description="How many failures in a row count.")


class PodContainer(Spec):
    """A container in the pods of a workload, as the workload's template has it."""

    area: ClassVar[str] = "pod"
    noun: ClassVar[str] = "pod_container"

    image: Text | None = Field(None, description="The image, e.g. shop/api:${VERSION}.")
    pinned: Flag | None = Field(None, description="Whether the image has a digest, or a tag other than latest.")
    memory: Size | None = Field(None, description="The limit of its memory.")
    memory_request: Size | None = Field(None, description="The memory that is kept for it.")
    cpus: Number | None = Field(None, description="The limit of its processors; 500m is 0.5.")
    cpu_request: Number | None = Field(None, description="The processors that are kept for it; 250m is 0.25.")
    user: Count | None = Field(None, description="The number of the user that it runs as.")
    non_root: Flag | None = Field(None, description="Whether Kubernetes refuses to run it as root.")
    privileged: Flag | None = Field(None, description="Whether it may do whatever root may on the node.")
    new_privileges: Flag | None = Field(None, description="Whether its processes may gain privileges, by setuid.")
    read_only: Flag | None = Field(None, description="Whether its root filesystem can't be written.")
    added_capabilities: TextSet | None = Field(None, description="Capabilities that it has beyond the usual.")
    dropped_capabilities: TextSet | None = Field(None, description="Usual capabilities that it lacks.")
    environment: dict[str, Text] | None = Field(None, description="Variables whose values stand in the template.")
    literal_secrets: AtMostCount | None = Field(
        None, description="How many variables name a secret, and have it in the template instead of in a Secret."
    )
    probes: dict[Literal["liveness", "readiness", "startup"], Probe] | None = Field(
        None, description="Its probes: liveness, readiness or startup."
    )

    @model_validator(mode="after")
    def _shows_no_secret(self) -> PodContainer:
        for name in self.environment or ():
            public_key_name(name)
        return self


class Autoscaling(Spec):
    """The HorizontalPodAutoscaler of a workload."""

    area: ClassVar[str] = "autoscaling"
    noun: ClassVar[str] = "autoscaling"

    min: Count | None = Field(None, description="The fewest replicas.")
    max: Count | None = Field(None, description="The most replicas.")
    cpu: Percent | None = Field(None, description="The use of processors, as a share of the request, to aim at.")
    memory: Percent | None = Field(None, description="The use of memory, as a share of the request, to aim at.")
    scales: Flag | None = Field(None, description="Whether it finds its workload and gets its metrics, so can scale.")
    exhausted: Flag | None = Field(None, description="Whether it has as many replicas as it may, so can't add any.")


class Disruption(Spec):
    """The PodDisruptionBudget of a workload."""

    area: ClassVar[str] = "disruption"
    noun: ClassVar[str] = "disruption"

    min_available: Json | None = Field(None, description="How many pods must stay: a number, or e.g. 50%.")
    max_unavailable: Json | None = Field(None, description="How many pods may be away: a number, or e.g. 25%.")
    allowed: AtLeastCount | None = Field(None, description="How many pods may be evicted now.")


class Workload(Spec):
    """A Deployment, StatefulSet or DaemonSet, and what looks after its pods."""

    area: ClassVar[str] = "workload"
    noun: ClassVar[str] = "workload"

    kind: Literal["Deployment", "StatefulSet", "DaemonSet"] = Field("Deployment", description="A setting: its kind.")

    exists: Flag | None = Field(None, description="Whether there is such a workload.")
    replicas: Count | None = Field(None, description="How many replicas are wanted.")
    ready: AtLeastCount | None = Field(None, description="How many replicas are ready.")
    rolled_out: Flag | None = Field(None, description="Whether all replicas are up to date and available.")
    strategy: Text | None = Field(None, description="How it is updated: RollingUpdate, Recreate or OnDelete.")
    service_account: Text | None = Field(None, description="The account by which its pods may ask the cluster.")
    host_network: Flag | None = Field(None, description="Whether its pods are on the network of the node.")
    restarts: AtMostCount | None = Field(
        None, description="How often the containers of its pods have been restarted, all together."
    )
    crash_loops: AtMostCount | None = Field(None, description="How many containers crash over and over.")
    image_errors: AtMostCount | None = Field(None, description="How many containers can't get their image.")
    oom_killed: AtMostCount | None = Field(
        None, description="How many containers were killed for want of memory, the last time that they ended."
    )
    containers: dict[str, PodContainer] | None = Field(None, description="The containers of its pods, by name.")
    autoscaling: Autoscaling | None = Field(None, description="Its HorizontalPodAutoscaler.")
    disruption: Disruption | None = Field(None, description="Its PodDisruptionBudget.")


class KubernetesService(Spec):
    """A Service, and the pods behind it."""

    area: ClassVar[str] = "kubernetes_service"
    noun: ClassVar[str] = "kubernetes_service"

    type: Text | None = Field(None, description="ClusterIP, NodePort, LoadBalancer or ExternalName.")
    ready_endpoints: AtLeastCount | None = Field(None, description="How many ready pods it sends requests to.")


class Ingress(Spec):
    """An Ingress: what lets requests in from outside."""

    area: ClassVar[str] = "ingress"
    noun: ClassVar[str] = "ingress"

    hosts: TextSet | None = Field(None, description="The host names that it answers to.")
    tls_hosts: TextSet | None = Field(None, description="The host names that it has a certificate for.")
    tls_secrets: TextSet | None = Field(None, description="The Secrets that hold these certificates.")


class Namespace(Spec):
    """A namespace of Kubernetes, looked at by kubectl, or in its manifests."""

    area: ClassVar[str] = "namespace"
    noun: ClassVar[str] = "namespace"

    context: str | None = Field(None, description="A setting: the context of kubectl, which must be named.")
    kubeconfig: str | None = Field(None, description="A setting: the file that has this context.")
    manifests: tuple[str, ...] = Field(
        (), description="A setting: rendered manifests, by pattern, that are looked at instead of a cluster."
    )
    namespace: str | None = Field(None, description="A setting: its name, if the key is a name of your own.")

    workloads: dict[str, Workload] | None = Field(None, description="Deployments and the like, by name.")
    services: dict[str, KubernetesService] | None = Field(None, description="Services, by name.")
    ingresses: dict[str, Ingress] | None = Field(None, description="Ingresses, by name.")

    @model_validator(mode="after")
    def _says_where(self) -> Namespace:
        if bool(self.context) == bool(self.manifests):
            wrong = "has both a context and manifests" if self.context else "does not say where to look"
            raise Mistake(wrong, "write either `context: production` or `manifests: [k8s/*.yml]`")
        return self


def observe_source(namespace: Namespace) -> Source:
    """Where to look."""
    name = namespace.namespace or namespace.name
    return Source(name, namespace.context or "", namespace.kubeconfig or "", namespace.manifests)


def observe_objects(namespace: Namespace, cluster: Source) -> dict[str, tuple[Object, ...]]:
    """The workloads by kind; only kinds that are declared are asked for."""
    kinds = {each.kind for each in (namespace.workloads or {}).values()}
    return {kind: cluster.objects(kind) for kind in sorted(kinds)}


def observe_workload_object(workload: Workload, workload_objects: dict[str, tuple[Object, ...]]) -> Found:
    """The object of a workload, if there is one."""
    return Found(named(workload_objects[workload.kind], workload.name))


def observe_workload(workload_object: Found) -> ActualWorkload:
    """What is wanted of the workload."""
    return read_workload(workload_object.told)


def observe_rollout(cluster: Source, workload_object: Found) -> Rollout:
    """How far the workload is what is wanted of it."""
    return read_rollout(workload_object.told, cluster.status_of(workload_object.told or {}))


def observe_pods(cluster: Source) -> tuple[Object, ...]:
    """All pods of the namespace."""
    cluster.status_of({})
    return cluster.objects("Pod")


def observe_workload_pods(workload_object: Found, pods: tuple[Object, ...]) -> WorkloadPods:
    """How the pods of the workload fare."""
    return read_pods(workload_object.told, pods)


def observe_pod_container(pod_container: PodContainer, workload_object: Found) -> ActualPodContainer:
    """A container of the workload's pods."""
    return read_pod_container(workload_object.told, pod_container.name)


def observe_probe(probe: Probe, actual_pod_container: ActualPodContainer) -> ActualProbe:
    """A probe of the container."""
    return actual_pod_container.probes.get(probe.name, ActualProbe())


def observe_autoscalers(cluster: Source) -> tuple[Object, ...]:
    """All autoscalers of the namespace."""
    return cluster.objects("HorizontalPodAutoscaler")


def observe_autoscaler_object(workload: Workload, autoscalers: tuple[Object, ...]) -> Found:
    """The autoscaler that looks after the workload, if there is one."""
    return Found(next((each for each in autoscalers if looks_after(each, workload.kind, workload.name)), None))


def observe_autoscaling(autoscaler_object: Found) -> ActualAutoscaling:
    """What the autoscaler is told to do."""
    return read_autoscaling(autoscaler_object.told)


def observe_scaling(cluster: Source, autoscaler_object: Found) -> Scaling:
    """Whether the autoscaler can scale, and wants as many replicas as it may have."""
    told = autoscaler_object.told
    return read_scaling(told, cluster.status_of(told or {}))


def observe_budgets(cluster: Source) -> tuple[Object, ...]:
    """All disruption budgets of the namespace."""
    return cluster.objects("PodDisruptionBudget")


def observe_budget_object(workload_object: Found, budgets: tuple[Object, ...]) -> Found:
    """The budget that guards the workload's pods, if there is one."""
    return Found(next((each for each in budgets if guards(each, workload_object.told)), None))


def observe_disruption(budget_object: Found) -> ActualDisruption:
    """What the budget says."""
    return read_disruption(budget_object.told)


def observe_evictable(cluster: Source, budget_object: Found) -> int | None:
    """How many pods may be evicted now; None where no budget says."""
    status = cluster.status_of(budget_object.told or {})
    return None if budget_object.told is None else status.get("disruptionsAllowed", 0)


def observe_service_objects(cluster: Source) -> tuple[Object, ...]:
    """All Services of the namespace."""
    return cluster.objects("Service")


def observe_service_type(kubernetes_service: KubernetesService, service_objects: tuple[Object, ...]) -> str | None:
    """The type of a Service; None where there is none."""
    told = named(service_objects, kubernetes_service.name)
    return None if told is None else str(told["spec"].get("type", "ClusterIP"))


def observe_endpoint_slices(cluster: Source) -> tuple[Object, ...]:
    """All EndpointSlices of the namespace."""
    cluster.status_of({})
    return cluster.objects("EndpointSlice")


def observe_ready_endpoints(kubernetes_service: KubernetesService, endpoint_slices: tuple[Object, ...]) -> int | None:
    """How many pods a Service sends requests to; None where nothing tells."""
    return count_ready(endpoint_slices, kubernetes_service.name)


def observe_ingress_objects(cluster: Source) -> tuple[Object, ...]:
    """All Ingresses of the namespace."""
    return cluster.objects("Ingress")


def observe_ingress(ingress: Ingress, ingress_objects: tuple[Object, ...]) -> ActualIngress:
    """The hosts of an Ingress."""
    return read_ingress(named(ingress_objects, ingress.name))


SECTIONS: Mapping[str, type[Spec]] = {"kubernetes": Namespace}
FACTS: Mapping[str, Callable[..., Any]] = {
    "cluster": observe_source,
    "workload_objects": observe_objects,
    "workload_object": observe_workload_object,
    "actual_workload": observe_workload,
    "rollout": observe_rollout,
    "pods": observe_pods,
    "workload_pods": observe_workload_pods,
    "actual_pod_container": observe_pod_container,
    "actual_probe": observe_probe,
    "autoscalers": observe_autoscalers,
    "autoscaler_object": observe_autoscaler_object,
    "actual_autoscaling": observe_autoscaling,
    "scaling": observe_scaling,
    "budgets": observe_budgets,
    "budget_object": observe_budget_object,
    "actual_disruption": observe_disruption,
    "evictable_pods": observe_evictable,
    "service_objects": observe_service_objects,
    "service_type": observe_service_type,
    "endpoint_slices": observe_endpoint_slices,
    "ready_endpoints": observe_ready_endpoints,
    "ingress_objects": observe_ingress_objects,
    "actual_ingress": observe_ingress,
}
