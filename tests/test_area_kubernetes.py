"""The area of Kubernetes, shown by kubectl on an API that serves objects, and on manifests: sound and broken."""

from __future__ import annotations

import copy
import inspect
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from readygate.areas import FACTS, SECTIONS
from readygate.areas.kubernetes.objects import APIS, quantity
from readygate.errors import CouldNotLook
from readygate.facts import Facts
from readygate.spec import leaves
from tests.holding import suite_functions

DECLARED = yaml.safe_load("""
workloads:
  api:
    exists: true
    replicas: 3
    ready: 3
    rolled_out: true
    restarts: 3
    crash_loops: 0
    image_errors: 0
    oom_killed: 0
    strategy: RollingUpdate
    service_account: api
    host_network: false
    containers:
      api:
        image: shop/api:1.4.2
        pinned: true
        memory: 512Mi
        memory_request: 256Mi
        cpus: 0.5
        cpu_request: 0.25
        user: 1000
        non_root: true
        privileged: false
        new_privileges: false
        read_only: true
        added_capabilities: [NET_BIND_SERVICE]
        dropped_capabilities: [ALL]
        environment: {LOG_LEVEL: info}
        literal_secrets: 0
        probes:
          liveness: {path: /health, port: 8080, delay: 30s, period: 10s, timeout: 5s, failures: 3}
          readiness: {path: /ready, port: 8080, delay: 5s, period: 5s, timeout: 3s, failures: 2}
    autoscaling: {min: 3, max: 10, cpu: 70%, memory: 80%, scales: true, exhausted: false}
    disruption: {min_available: 2, allowed: 1}
  queue: {kind: StatefulSet, rolled_out: true, disruption: {max_unavailable: 50%}}
  agent: {kind: DaemonSet, replicas: 4, ready: 4, rolled_out: true}
  debug: {exists: false}
services:
  api: {type: ClusterIP, ready_endpoints: 2}
ingresses:
  shop: {hosts: [shop.lab, api.shop.lab], tls_hosts: [shop.lab, api.shop.lab], tls_secrets: [shop-tls]}
""")

OBJECTS = """
kind: Deployment
metadata: {name: api, namespace: shop, generation: 4}
spec:
  replicas: 3
  selector: {matchLabels: {app: api}}
  strategy: {type: RollingUpdate}
  template:
    metadata: {labels: {app: api, tier: web}}
    spec:
      serviceAccountName: api
      securityContext: {runAsUser: 1000, runAsNonRoot: true}
      containers:
        - name: api
          image: shop/api:1.4.2
          env:
            - {name: LOG_LEVEL, value: info}
            - {name: DB_PASSWORD, valueFrom: {secretKeyRef: {name: db, key: password}}}
          resources: {limits: {memory: 512Mi, cpu: 500m}, requests: {memory: 256Mi, cpu: 250m}}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {add: [NET_BIND_SERVICE], drop: [ALL]}
          livenessProbe:
            httpGet: {path: /health, port: 8080}
            initialDelaySeconds: 30
            timeoutSeconds: 5
          readinessProbe:
            httpGet: {path: /ready, port: 8080}
            initialDelaySeconds: 5
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 2
status: {observedGeneration: 4, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3}
---
kind: StatefulSet
metadata: {name: queue, namespace: shop, generation: 1}
spec: {template: {metadata: {labels: {app: queue}}, spec: {containers: [{name: queue, image: nats:2}]}}}
status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1}
---
kind: DaemonSet
metadata: {name: agent, namespace: shop, generation: 1}
spec: {template: {metadata: {labels: {app: agent}}, spec: {containers: [{name: agent, image: agent:7}]}}}
status:
  observedGeneration: 1
  desiredNumberScheduled: 4
  updatedNumberScheduled: 4
  numberAvailable: 4
  numberReady: 4
---
kind: HorizontalPodAutoscaler
metadata: {name: api, namespace: shop}
spec:
  scaleTargetRef: {kind: Deployment, name: api}
  minReplicas: 3
  maxReplicas: 10
  metrics:
    - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}
    - {type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 80}}}
status:
  desiredReplicas: 3
  currentReplicas: 3
  conditions: [{type: AbleToScale, status: "True"}, {type: ScalingActive, status: "True"}]
---
kind: PodDisruptionBudget
metadata: {name: api, namespace: shop}
spec: {minAvailable: 2, selector: {matchLabels: {app: api}}}
status: {disruptionsAllowed: 1}
---
kind: PodDisruptionBudget
metadata: {name: queue, namespace: shop}
spec: {maxUnavailable: 50%, selector: {matchLabels: {app: queue}}}
status: {disruptionsAllowed: 1}
---
kind: Pod
metadata: {name: api-1, namespace: shop, labels: {app: api, tier: web}}
status:
  initContainerStatuses: [{name: migrate, restartCount: 1, state: {terminated: {reason: Completed}}}]
  containerStatuses: [{name: api, restartCount: 2, state: {running: {}}, lastState: {terminated: {reason: Error}}}]
---
kind: Pod
metadata: {name: batch-1, namespace: shop, labels: {app: batch}}
status: {containerStatuses: [{name: batch, restartCount: 99, state: {waiting: {reason: CrashLoopBackOff}}}]}
---
kind: Service
metadata: {name: api, namespace: shop}
spec: {type: ClusterIP, selector: {app: api}}
---
kind: EndpointSlice
metadata: {name: api-x7, namespace: shop, labels: {kubernetes.io/service-name: api}}
endpoints:
  - {addresses: [10.0.0.1], conditions: {ready: true}}
  - {addresses: [10.0.0.2], conditions: {ready: true}}
  - {addresses: [10.0.0.3], conditions: {ready: false}}
---
kind: Ingress
metadata: {name: shop, namespace: shop}
spec:
  rules: [{host: shop.lab}, {host: api.shop.lab}]
  tls: [{hosts: [shop.lab, api.shop.lab], secretName: shop-tls}]
"""

# What is changed in the first object of a kind, and the checks that notice: kind, path, value, checks.
CONTAINER = "spec.template.spec.containers.0"
STATUS = "status.containerStatuses.0"
POD_CHECKS = ("restarts", "crash_loops", "image_errors", "oom_killed")
PROBED = ("probe.path", "probe.port", "probe.delay", "probe.period", "probe.timeout", "probe.failures")
GUARDED = ("disruption.min_available", "disruption.allowed")
FAULTS: list[tuple[str, str, Any, set[str]]] = [
    ("Deployment", "spec.replicas", 2, {"workload.replicas", "workload.rolled_out"}),
    ("Deployment", "status.readyReplicas", 2, {"workload.ready"}),
    ("Deployment", "status.availableReplicas", 2, {"workload.rolled_out"}),
    ("Deployment", "status.updatedReplicas", 1, {"workload.rolled_out"}),
    ("Deployment", "status.replicas", 4, {"workload.rolled_out"}),
    ("Deployment", "metadata.generation", 5, {"workload.rolled_out"}),
    ("Deployment", "spec.strategy", {"type": "Recreate"}, {"workload.strategy"}),
    ("Deployment", "spec.template.spec.serviceAccountName", "default", {"workload.service_account"}),
    ("Deployment", "spec.template.spec.hostNetwork", True, {"workload.host_network"}),
    ("Deployment", f"{CONTAINER}.image", "shop/api:1.4.1", {"pod.image"}),
    ("Deployment", f"{CONTAINER}.image", "shop/api", {"pod.image", "pod.pinned"}),
    ("Deployment", f"{CONTAINER}.resources.limits", {"cpu": "0.5"}, {"pod.memory"}),
    ("Deployment", f"{CONTAINER}.resources.limits", {"memory": "512Mi"}, {"pod.cpus"}),
    ("Deployment", f"{CONTAINER}.resources.limits.memory", "512M", {"pod.memory"}),
    ("Deployment", f"{CONTAINER}.resources.requests", {"cpu": "250m"}, {"pod.memory_request"}),
    ("Deployment", f"{CONTAINER}.resources.requests", {"memory": "256Mi"}, {"pod.cpu_request"}),
    ("Deployment", f"{CONTAINER}.securityContext.runAsUser", 1001, {"pod.user"}),
    ("Deployment", "spec.template.spec.securityContext", {}, {"pod.user", "pod.non_root"}),
    ("Deployment", f"{CONTAINER}.securityContext.privileged", True, {"pod.privileged", "pod.new_privileges"}),
    ("Deployment", f"{CONTAINER}.securityContext.allowPrivilegeEscalation", True, {"pod.new_privileges"}),
    ("Deployment", f"{CONTAINER}.securityContext.readOnlyRootFilesystem", False, {"pod.read_only"}),
    ("Deployment", f"{CONTAINER}.securityContext.capabilities.add", ["SYS_ADMIN"], {"pod.added_capabilities"}),
    ("Deployment", f"{CONTAINER}.securityContext.capabilities.drop", [], {"pod.dropped_capabilities"}),
    ("Deployment", f"{CONTAINER}.env.0.value", "debug", {"pod.environment"}),
    ("Deployment", f"{CONTAINER}.env.1", {"name": "DB_PASSWORD", "value": "hunter22"}, {"pod.literal_secrets"}),
    ("Deployment", f"{CONTAINER}.livenessProbe", None, set(PROBED)),
    ("Deployment", f"{CONTAINER}.livenessProbe.httpGet.path", "/", {"probe.path"}),
    ("Deployment", f"{CONTAINER}.livenessProbe.httpGet.port", "http", {"probe.port"}),
    ("Deployment", f"{CONTAINER}.livenessProbe.initialDelaySeconds", 0, {"probe.delay"}),
    ("Deployment", f"{CONTAINER}.livenessProbe.periodSeconds", 60, {"probe.period"}),
    ("Deployment", f"{CONTAINER}.livenessProbe.timeoutSeconds", 1, {"probe.timeout"}),
    ("Deployment", f"{CONTAINER}.readinessProbe.failureThreshold", 3, {"probe.failures"}),
    ("Pod", f"{STATUS}.restartCount", 3, {"workload.restarts"}),
    ("Pod", f"{STATUS}.state", {"waiting": {"reason": "CrashLoopBackOff"}}, {"workload.crash_loops"}),
    ("Pod", f"{STATUS}.state", {"waiting": {"reason": "ImagePullBackOff"}}, {"workload.image_errors"}),
    ("Pod", f"{STATUS}.lastState.terminated.reason", "OOMKilled", {"workload.oom_killed"}),
    ("Pod", f"{STATUS}.state", {"terminated": {"reason": "OOMKilled"}}, {"workload.oom_killed"}),
    ("Pod", "metadata.labels.app", "other", {f"workload.{each}" for each in POD_CHECKS}),
    ("StatefulSet", "status.updatedReplicas", 0, {"workload.rolled_out"}),
    ("StatefulSet", "status.readyReplicas", 0, {"workload.rolled_out"}),
    ("DaemonSet", "status.numberAvailable", 3, {"workload.rolled_out"}),
    ("DaemonSet", "status.numberReady", 3, {"workload.ready"}),
    ("HorizontalPodAutoscaler", "spec.minReplicas", 1, {"autoscaling.min"}),
    ("HorizontalPodAutoscaler", "spec.maxReplicas", 5, {"autoscaling.max"}),
    ("HorizontalPodAutoscaler", "spec.metrics.0.resource.target.averageUtilization", 95, {"autoscaling.cpu"}),
    ("HorizontalPodAutoscaler", "spec.metrics.1.resource.target.averageUtilization", 95, {"autoscaling.memory"}),
    ("HorizontalPodAutoscaler", "status.desiredReplicas", 10, {"autoscaling.exhausted"}),
    (
        "HorizontalPodAutoscaler",
        "spec.scaleTargetRef.name",
        "web",
        {f"autoscaling.{each}" for each in ("min", "max", "cpu", "memory", "scales", "exhausted")},
    ),
    ("PodDisruptionBudget", "spec.minAvailable", 3, {"disruption.min_available"}),
    ("PodDisruptionBudget", "status.disruptionsAllowed", 0, {"disruption.allowed"}),
    ("PodDisruptionBudget", "spec.selector.matchLabels", {"app": "-"}, set(GUARDED)),
    ("Service", "spec.type", "LoadBalancer", {"kubernetes_service.type"}),
    ("Service", "metadata.name", "web", {"kubernetes_service.type"}),
    ("EndpointSlice", "endpoints.0.conditions.ready", False, {"kubernetes_service.ready_endpoints"}),
    ("EndpointSlice", "endpoints.1.addresses", ["10.0.0.1"], {"kubernetes_service.ready_endpoints"}),
    ("Ingress", "spec.rules.1.host", "old.shop.lab", {"ingress.hosts"}),
    ("Ingress", "spec.tls.0.hosts", ["shop.lab"], {"ingress.tls_hosts"}),
    ("Ingress", "spec.tls.0.secretName", "old-tls", {"ingress.tls_secrets"}),
]  # fmt: skip


class Cluster:
    """An API server as far as listing goes; `objects` is what it lists, `codes` how it answers instead, by kind."""

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []
        self.codes: dict[str, int] = {}
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, body = cluster.answer(self.path.partition("?")[0])
                payload = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        for kind, api in APIS.items():
            plural = "ingresses" if kind == "Ingress" else f"{kind.lower()}s"
            if path == f"/{api}/namespaces/shop/{plural}":
                code = self.codes.get(kind, 200)
                if code != 200:
                    reason = "Forbidden" if code == 403 else "InternalError"
                    message = f'{plural} is forbidden: User "gate" cannot list' if code == 403 else "etcd is gone"
                    return code, {
                        "kind": "Status", "apiVersion": "v1", "status": "Failure",
                        "reason": reason, "code": code, "message": message,
                    }  # fmt: skip
                # As the API does, it says the kind of the list, and not of each in it.
                listed = [dict(each) for each in self.objects if each["kind"] == kind]
                return 200, {"kind": f"{kind}List", "items": [each for each in listed if each.pop("kind")]}
        return 404, {}


@pytest.fixture(scope="module")
def serving() -> Iterator[Cluster]:
    if not shutil.which("kubectl"):
        pytest.skip("there is no kubectl")
    cluster = Cluster()
    threading.Thread(target=cluster.server.serve_forever, daemon=True).start()
    yield cluster
    cluster.server.shutdown()


@pytest.fixture
def cluster(serving: Cluster) -> Cluster:
    serving.objects = list(yaml.safe_load_all(OBJECTS))
    serving.codes = {}
    return serving


@pytest.fixture
def reached(cluster: Cluster, tmp_path: Path) -> dict[str, Any]:
    """How the inventory says to reach the cluster."""
    return reach(tmp_path, cluster.server.server_address[1])


def reach(folder: Path, port: int) -> dict[str, Any]:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "gate", "user": {}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "gate"}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    return {"context": "lab", "kubeconfig": str(folder / "kubeconfig")}


def failing(declared: dict[str, Any]) -> set[str]:
    """The checks that a namespace's declaration fails; raises what the facts raise."""
    functions = dict(suite_functions("kubernetes"))
    facts = Facts(FACTS, lambda leaf: None)
    namespace = SECTIONS["kubernetes"].model_validate(declared)
    failed = set()
    for leaf in leaves(namespace, "shop", ("kubernetes", "shop")):
        function = functions[leaf.check]
        try:
            function(**{name: facts.get(name, leaf) for name in inspect.signature(function).parameters})
        except AssertionError:
            failed.add(leaf.check)
    return failed


def changed(objects: list[dict[str, Any]], kind: str, path: str, value: Any) -> list[dict[str, Any]]:
    objects = copy.deepcopy(objects)
    node: Any = next(each for each in objects if each["kind"] == kind)
    *way, last = (int(step) if step.isdigit() else step for step in path.split("."))
    for step in way:
        node = node[step]
    node[last] = value
    return objects


def test_a_sound_namespace_passes_every_check(reached: dict[str, Any]) -> None:
    assert failing(DECLARED | reached) == set()


@pytest.mark.parametrize(("kind", "path", "value", "checks"), FAULTS, ids=[f"{each[0]}-{each[1]}" for each in FAULTS])
def test_a_broken_object_fails_the_right_check(
    kind: str, path: str, value: Any, checks: set[str], cluster: Cluster, reached: dict[str, Any]
) -> None:
    cluster.objects = changed(cluster.objects, kind, path, value)
    assert failing(DECLARED | reached) == checks


def test_a_budget_that_lets_every_pod_go_is_found(cluster: Cluster, reached: dict[str, Any]) -> None:
    lax = {"spec": {"maxUnavailable": "100%", "selector": {"matchLabels": {"app": "queue"}}}}
    cluster.objects = [
        each | lax if each["metadata"]["name"] == "queue" and each["kind"] == "PodDisruptionBudget" else each
        for each in cluster.objects
    ]
    assert failing(DECLARED | reached) == {"disruption.max_unavailable"}


def test_a_workload_that_is_not_there_has_nothing_right(cluster: Cluster, reached: dict[str, Any]) -> None:
    cluster.objects = []
    declared = {"workloads": {"api": DECLARED["workloads"]["api"]}, "ingresses": DECLARED["ingresses"]} | reached
    every = leaves(SECTIONS["kubernetes"].model_validate(declared), "shop", ("kubernetes", "shop"))
    assert failing(declared) == {leaf.check for leaf in every}


def test_a_workload_that_must_not_be_there_is_found(cluster: Cluster, reached: dict[str, Any]) -> None:
    cluster.objects.append({"kind": "Deployment", "metadata": {"name": "debug"}, "spec": {}})
    assert failing(DECLARED | reached) == {"workload.exists"}


def test_a_cluster_that_is_not_there_is_one_cause_and_never_a_pass(tmp_path: Path) -> None:
    absent = {"workloads": {"debug": {"exists": False}}}
    with pytest.raises(CouldNotLook) as caught:
        failing(absent | reach(tmp_path, 1))
    assert caught.value.cause == "cluster:lab"


def test_a_context_that_is_not_known_is_never_another_one(reached: dict[str, Any]) -> None:
    with pytest.raises(CouldNotLook, match=r"can't be asked.*production"):
        failing({"workloads": {"debug": {"exists": False}}} | reached | {"context": "production"})


@pytest.mark.parametrize(
    ("code", "message"), [(403, "does not let this user list deployments"), (500, "etcd is gone")]
)
def test_what_the_cluster_refuses_to_tell_was_not_looked_at(
    code: int, message: str, cluster: Cluster, reached: dict[str, Any]
) -> None:
    cluster.codes["Deployment"] = code
    with pytest.raises(CouldNotLook, match=message):
        failing({"workloads": {"debug": {"exists": False}}} | reached)


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("AbleToScale", "False", "FailedGetScale"),
        ("ScalingActive", "False", "FailedGetResourceMetric"),
        ("-", "", ""),
    ],
)
def test_an_autoscaler_that_can_not_scale_is_found(
    kind: str, status: str, reason: str, cluster: Cluster, reached: dict[str, Any]
) -> None:
    able = {"type": "AbleToScale", "status": "True"}
    conditions = [able] * (kind == "ScalingActive") + [{"type": kind, "status": status, "reason": reason}]
    cluster.objects = changed(cluster.objects, "HorizontalPodAutoscaler", "status.conditions", conditions)
    asked = {"workloads": {"api": {"autoscaling": {"scales": True}}}} | reached
    assert failing(asked) == {"autoscaling.scales"}
    asked["workloads"] = {"api": {"autoscaling": {"exhausted": False}}}
    with pytest.raises(CouldNotLook, match=f"can't scale: {reason or 'nothing says'}"):
        failing(asked)


def expression(operator: str, *values: str, key: str = "app") -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (expression("Exists"), True),
        (expression("DoesNotExist"), False),
        (expression("In", "api", "web"), True),
        (expression("In", "web"), False),
        (expression("NotIn", "web"), True),
        (expression("NotIn", "api"), False),
        (expression("NotIn", "api", key="none"), True),
        (expression("In", "web") | {"matchLabels": {"app": "api"}}, False),
        (expression("In", "api") | {"matchLabels": {"app": "web"}}, False),
    ],
)
def test_pods_are_selected_by_expressions_too(
    selector: dict[str, Any], selected: bool, cluster: Cluster, reached: dict[str, Any]
) -> None:
    """A pod of another workload must not be in the way: it crashes over and over."""
    cluster.objects = [
        each for each in cluster.objects if each["kind"] != "Pod" or each["metadata"]["labels"]["app"] == "api"
    ]
    cluster.objects = changed(cluster.objects, "Deployment", "spec.selector", selector)
    failed = failing({"workloads": {"api": {"crash_loops": 0}}} | reached)
    assert failed == (set() if selected else {"workload.crash_loops"})


def test_a_selector_by_an_unknown_operator_is_not_guessed_at(cluster: Cluster, reached: dict[str, Any]) -> None:
    cluster.objects = changed(cluster.objects, "Deployment", "spec.selector", expression("Resembles", "api"))
    with pytest.raises(CouldNotLook, match="the operator Resembles"):
        failing({"workloads": {"api": {"crash_loops": 0}}} | reached)


# Manifests.

WANTED_ONLY = {
    "workloads": {
        "api": {
            key: value
            for key, value in DECLARED["workloads"]["api"].items()
            if key not in ("ready", "rolled_out", "autoscaling", "disruption", *POD_CHECKS)
        }
        | {"autoscaling": {"min": 3, "max": 10, "cpu": "70%"}, "disruption": {"min_available": 2}}
    },
    "ingresses": DECLARED["ingresses"],
}


def test_manifests_are_judged_as_a_cluster_is(tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(OBJECTS)
    declared = WANTED_ONLY | {"manifests": [f"{tmp_path}/*.yml"]}
    assert failing(declared) == set()
    (tmp_path / "shop.yml").write_text(OBJECTS.replace("replicas: 3", "replicas: 1").replace("minReplicas: 3", ""))
    assert failing(declared) == {"workload.replicas", "autoscaling.min"}


def test_a_list_of_objects_is_read_as_well(tmp_path: Path) -> None:
    items = {"kind": "List", "items": list(yaml.safe_load_all(OBJECTS))}
    (tmp_path / "shop.json").write_text(json.dumps(items))
    assert failing(WANTED_ONLY | {"manifests": [f"{tmp_path}/*.json"]}) == set()


def test_objects_of_another_namespace_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(OBJECTS)
    declared = {"workloads": {"api": {"exists": True}}, "manifests": [f"{tmp_path}/*.yml"], "namespace": "staging"}
    assert failing(declared) == {"workload.exists"}


@pytest.mark.parametrize(
    "status",
    [
        {"workloads": {"api": {"ready": 1}}},
        {"workloads": {"api": {"crash_loops": 0}}},
        {"workloads": {"api": {"autoscaling": {"exhausted": False}}}},
        {"workloads": {"api": {"disruption": {"allowed": 1}}}},
        {"services": {"api": {"ready_endpoints": 1}}},
    ],
)
def test_manifests_say_nothing_of_what_runs(status: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(OBJECTS)
    with pytest.raises(CouldNotLook, match="manifests say what is wanted, not what runs"):
        failing(status | {"manifests": [f"{tmp_path}/*.yml"]})


@pytest.mark.parametrize(("text", "message"), [(None, "matches no file"), ("{{ .Values.x }}: [", "is not YAML")])
def test_manifests_that_can_not_be_read_are_no_answer(text: str | None, message: str, tmp_path: Path) -> None:
    if text:
        (tmp_path / "shop.yml").write_text(text)
    with pytest.raises(CouldNotLook, match=message):
        failing({"workloads": {"debug": {"exists": False}}, "manifests": [f"{tmp_path}/*.yml"]})


# What is declared.


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({}, "does not say where to look"),
        ({"context": "lab", "manifests": ["k8s.yml"]}, "both a context and manifests"),
        (
            {"context": "lab", "workloads": {"api": {"containers": {"api": {"environment": {"DB_PASSWORD": "x"}}}}}},
            "names a secret",
        ),
        ({"context": "lab", "workloads": {"api": {"kind": "deployment", "exists": True}}}, "Deployment"),
    ],
)
def test_what_could_not_be_looked_for_is_refused(declared: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SECTIONS["kubernetes"].model_validate({"workloads": {"api": {"exists": True}}} | declared)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("250m", 0.25),
        ("1", 1),
        (2, 2),
        ("1.5", 1.5),
        ("512Mi", 512 * 1024**2),
        ("1G", 1e9),
        ("1k", 1e3),
        ("1e3", 1e3),
    ],
)
def test_quantities_are_read_as_kubernetes_means_them(text: object, number: float) -> None:
    assert quantity(text) == number
