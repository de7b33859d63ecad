"""What must hold in Kubernetes: replicas, probes, resources and privileges of workloads, and what leads to them."""

import pytest


@pytest.mark.check("workload.exists")
def test_workload_is_there_or_is_not_as_declared(workload, actual_workload):
    """A release that applied half of its manifests serves half of its requests.

    Mend: apply the manifests again, and see which were refused.
    """
    assert actual_workload.exists in workload.exists


@pytest.mark.check("workload.replicas")
def test_as_many_replicas_are_wanted_as_declared(workload, actual_workload):
    """Scaled down by hand for a test, and forgotten, it goes down with the first node.

    Mend: run `kubectl scale`, or leave the number to the autoscaler.
    """
    assert actual_workload.replicas in workload.replicas


@pytest.mark.check("workload.ready", severity="blocker")
def test_enough_replicas_are_ready(workload, rollout):
    """Only a replica that is ready serves anybody.

    Mend: run `kubectl describe pod` for those that are not, and read their logs.
    """
    assert rollout.ready in workload.ready


@pytest.mark.check("workload.rolled_out", severity="blocker")
def test_workload_is_rolled_out(workload, rollout):
    """A rollout that hangs half way leaves two versions in production.

    Mend: run `kubectl rollout status`; then mend the new template, or `kubectl rollout undo`.
    """
    assert rollout.is_complete in workload.rolled_out


@pytest.mark.check("workload.restarts")
def test_containers_were_not_restarted_too_often(workload, workload_pods):
    """Each restart is a crash, or a liveness probe that failed; between two of them all looks ready.

    Mend: read `kubectl logs --previous`, and the events of the pod.
    """
    assert workload_pods.restarts in workload.restarts


@pytest.mark.check("workload.crash_loops", severity="blocker")
def test_no_container_crashes_over_and_over(workload, workload_pods):
    """The old pods may serve on while each new one crashes: the release did not happen.

    Mend: read `kubectl logs --previous`; then mend the new template, or `kubectl rollout undo`.
    """
    names = ", ".join(workload_pods.crash_looping or ())
    assert workload_pods.crash_loops in workload.crash_loops, f"crashing: {names}"


@pytest.mark.check("workload.image_errors", severity="blocker")
def test_every_container_gets_its_image(workload, workload_pods):
    """The next node that fails takes a pod along that can't be started anywhere else.

    Mend: see in the events of the pod whether the tag, the registry or the login is wrong.
    """
    names = ", ".join(workload_pods.without_image or ())
    assert workload_pods.image_errors in workload.image_errors, f"without an image: {names}"


@pytest.mark.check("workload.oom_killed")
def test_no_container_was_killed_for_want_of_memory(workload, workload_pods):
    """It will be killed again, at the next request as large, with all others that are under way.

    Mend: raise its limit of memory, or find what fills it.
    """
    names = ", ".join(workload_pods.oom_killed or ())
    assert workload_pods.oom_kills in workload.oom_killed, f"killed: {names}"


@pytest.mark.check("workload.strategy")
def test_workload_is_updated_as_declared(workload, actual_workload):
    """With `Recreate` every release is an outage; without it two writers may meet in one volume.

    Mend: set `strategy.type` in the manifest.
    """
    assert actual_workload.strategy in workload.strategy


@pytest.mark.check("workload.service_account")
def test_pods_have_the_declared_account(workload, actual_workload):
    """What the account may do in the cluster, whoever breaks into a pod may do.

    Mend: give the workload an account of its own, with only the rights that it needs.
    """
    assert actual_workload.service_account in workload.service_account


@pytest.mark.check("workload.host_network", severity="blocker")
def test_pods_are_on_the_network_of_the_node_only_where_declared(workload, actual_workload):
    """On the network of the node no policy holds, and every port of it is taken from all.

    Mend: take `hostNetwork: true` out of the template.
    """
    assert actual_workload.host_network in workload.host_network


@pytest.mark.check("pod.image", severity="blocker")
def test_pods_run_the_declared_image(pod_container, actual_pod_container):
    """What was tested is not what runs, if what runs is another image.

    Mend: apply the manifests of this release, or declare the image that was released.
    """
    assert actual_pod_container.image in pod_container.image


@pytest.mark.check("pod.pinned")
def test_image_of_the_pods_is_pinned_to_a_version(pod_container, actual_pod_container):
    """With `latest`, two nodes run two programs, and a rollback changes nothing.

    Mend: name the image by a version or a digest.
    """
    assert actual_pod_container.pinned in pod_container.pinned


@pytest.mark.check("pod.memory")
def test_memory_of_the_pods_is_limited_as_declared(pod_container, actual_pod_container):
    """Without a limit one leak takes down whatever else is on the node.

    Mend: set `resources.limits.memory` in the template.
    """
    assert actual_pod_container.memory in pod_container.memory


@pytest.mark.check("pod.memory_request")
def test_memory_of_the_pods_is_kept_for_them_as_declared(pod_container, actual_pod_container):
    """Without a request a pod is put on a node that has no room, and is the first to be evicted.

    Mend: set `resources.requests.memory` in the template.
    """
    assert actual_pod_container.memory_request in pod_container.memory_request


@pytest.mark.check("pod.cpus")
def test_processors_of_the_pods_are_limited_as_declared(pod_container, actual_pod_container):
    """Without a limit one endless loop slows down whatever else is on the node.

    Mend: set `resources.limits.cpu` in the template.
    """
    assert actual_pod_container.cpus in pod_container.cpus


@pytest.mark.check("pod.cpu_request")
def test_processors_of_the_pods_are_kept_for_them_as_declared(pod_container, actual_pod_container):
    """Without a request the autoscaler has nothing to reckon with, and never adds a replica.

    Mend: set `resources.requests.cpu` in the template.
    """
    assert actual_pod_container.cpu_request in pod_container.cpu_request


@pytest.mark.check("pod.user")
def test_pods_run_as_the_declared_user(pod_container, actual_pod_container):
    """Files in a volume belong to a number; with another one, the next version can't read them.

    Mend: set `securityContext.runAsUser` in the template.
    """
    assert actual_pod_container.user in pod_container.user


@pytest.mark.check("pod.non_root", severity="blocker")
def test_pods_can_not_run_as_root(pod_container, actual_pod_container):
    """Root in a pod is one hole in the kernel away from the node, and all that runs there.

    Mend: set `securityContext.runAsNonRoot: true`, and a user in the image.
    """
    assert actual_pod_container.non_root in pod_container.non_root


@pytest.mark.check("pod.privileged", severity="blocker")
def test_pods_are_privileged_only_where_declared(pod_container, actual_pod_container):
    """A privileged container is the node itself: whoever gets into it has all of it.

    Mend: take `privileged: true` out, and add just the capability that it needs.
    """
    assert actual_pod_container.privileged in pod_container.privileged


@pytest.mark.check("pod.new_privileges")
def test_processes_of_the_pods_gain_privileges_only_where_declared(pod_container, actual_pod_container):
    """One setuid program in the image undoes that the service runs as nobody.

    Mend: set `securityContext.allowPrivilegeEscalation: false`.
    """
    assert actual_pod_container.new_privileges in pod_container.new_privileges


@pytest.mark.check("pod.read_only")
def test_root_filesystem_of_the_pods_can_be_written_only_where_declared(pod_container, actual_pod_container):
    """What an intruder can't write he can't run.

    Mend: set `securityContext.readOnlyRootFilesystem: true`, and mount an emptyDir where it has to write.
    """
    assert actual_pod_container.read_only in pod_container.read_only


@pytest.mark.check("pod.added_capabilities")
def test_pods_have_no_more_capabilities_than_declared(pod_container, actual_pod_container):
    """With SYS_ADMIN or NET_ADMIN a broken container breaks more than itself.

    Mend: take out of `capabilities.add` what it does not need.
    """
    assert actual_pod_container.added_capabilities in pod_container.added_capabilities


@pytest.mark.check("pod.dropped_capabilities")
def test_pods_have_given_up_the_declared_capabilities(pod_container, actual_pod_container):
    """Nearly no service needs the capabilities that every container is given.

    Mend: write `capabilities: {drop: [ALL]}`, and add again what it needs.
    """
    assert actual_pod_container.dropped_capabilities in pod_container.dropped_capabilities


@pytest.mark.check("pod.environment", severity="blocker")
def test_pods_have_the_declared_variables(actual_pod_container, key, expected):
    """A variable that is missing silently means the program's default.

    Mend: set it under `env:` in the template, and roll it out.
    """
    assert actual_pod_container.environment.get(key) in expected


@pytest.mark.check("pod.literal_secrets", severity="blocker")
def test_no_secret_stands_in_the_template(pod_container, actual_pod_container):
    """Whoever may list workloads, or read the repository, has every password in their templates.

    Mend: move the value into a Secret, refer to it by `valueFrom`, and change the password.
    """
    found = actual_pod_container.literal_secrets
    assert (None if found is None else len(found)) in pod_container.literal_secrets, ", ".join(found or ())


@pytest.mark.check("probe.path")
def test_probe_asks_the_declared_path(probe, actual_probe):
    """A liveness probe that asks the database restarts every pod when the database is slow.

    Mend: set `httpGet.path` of the probe.
    """
    assert actual_probe.path in probe.path


@pytest.mark.check("probe.port")
def test_probe_asks_the_declared_port(probe, actual_probe):
    """A probe at the wrong port never succeeds, and no pod is ever ready.

    Mend: set the port of the probe.
    """
    assert actual_probe.port in probe.port


@pytest.mark.check("probe.delay")
def test_probe_waits_before_the_first_time_as_declared(probe, actual_probe):
    """Asked too early, a service that starts slowly is killed before it ever answers, again and again.

    Mend: set `initialDelaySeconds` of the probe, or give it a startup probe.
    """
    assert actual_probe.delay_s in probe.delay


@pytest.mark.check("probe.period")
def test_probe_asks_as_often_as_declared(probe, actual_probe):
    """As long as nobody asks, a dead pod is sent requests.

    Mend: set `periodSeconds` of the probe.
    """
    assert actual_probe.period_s in probe.period


@pytest.mark.check("probe.timeout")
def test_probe_waits_for_the_answer_as_declared(probe, actual_probe):
    """With the default of one second, a busy moment looks like death.

    Mend: set `timeoutSeconds` of the probe.
    """
    assert actual_probe.timeout_s in probe.timeout


@pytest.mark.check("probe.failures")
def test_probe_fails_after_the_declared_number_of_times(probe, actual_probe):
    """Too few, and one lost packet restarts a pod; too many, and it is dead for minutes.

    Mend: set `failureThreshold` of the probe.
    """
    assert actual_probe.failures in probe.failures


@pytest.mark.check("autoscaling.min")
def test_autoscaler_keeps_the_declared_fewest(autoscaling, actual_autoscaling):
    """At night it scales down to this: with one replica, one node is the whole service.

    Mend: set `minReplicas` of the autoscaler.
    """
    assert actual_autoscaling.min in autoscaling.min


@pytest.mark.check("autoscaling.max")
def test_autoscaler_stops_at_the_declared_most(autoscaling, actual_autoscaling):
    """Too low, and a peak is an outage; too high, and a peak is a bill, or the end of the database's connections.

    Mend: set `maxReplicas` of the autoscaler.
    """
    assert actual_autoscaling.max in autoscaling.max


@pytest.mark.check("autoscaling.cpu")
def test_autoscaler_aims_at_the_declared_use_of_processors(autoscaling, actual_autoscaling):
    """Aimed too high, new replicas come when it is too late.

    Mend: set `averageUtilization` of the metric cpu.
    """
    assert actual_autoscaling.targets.get("cpu") in autoscaling.cpu


@pytest.mark.check("autoscaling.memory")
def test_autoscaler_aims_at_the_declared_use_of_memory(autoscaling, actual_autoscaling):
    """Aimed too high, pods are killed for want of memory before new ones come.

    Mend: set `averageUtilization` of the metric memory.
    """
    assert actual_autoscaling.targets.get("memory") in autoscaling.memory


@pytest.mark.check("autoscaling.scales")
def test_autoscaler_can_scale(autoscaling, scaling):
    """Without its metrics it stays at the replicas that it has, whatever the peak; and nothing alarms.

    Mend: run `kubectl describe hpa`: install metrics-server, name the `apiVersion` of its target, or set requests.
    """
    assert scaling.works in autoscaling.scales, scaling.hindrance


@pytest.mark.check("autoscaling.exhausted")
def test_autoscaler_has_room_left(autoscaling, scaling):
    """At its most it can't answer the next peak.

    Mend: raise `maxReplicas`, or find what takes the processors.
    """
    assert scaling.exhausted in autoscaling.exhausted


@pytest.mark.check("disruption.min_available")
def test_budget_keeps_the_declared_number_of_pods(disruption, actual_disruption):
    """Without a budget, the update of the nodes evicts all replicas at once.

    Mend: set `minAvailable` of the PodDisruptionBudget.
    """
    assert actual_disruption.min_available in disruption.min_available


@pytest.mark.check("disruption.max_unavailable")
def test_budget_lets_the_declared_number_of_pods_go(disruption, actual_disruption):
    """Without a budget, the update of the nodes evicts all replicas at once.

    Mend: set `maxUnavailable` of the PodDisruptionBudget.
    """
    assert actual_disruption.max_unavailable in disruption.max_unavailable


@pytest.mark.check("disruption.allowed")
def test_pods_can_be_evicted_now(disruption, evictable_pods):
    """A budget that allows none stops every update of the nodes, the urgent ones too.

    Mend: bring all replicas up, or let the budget have one fewer than there are.
    """
    assert evictable_pods in disruption.allowed


@pytest.mark.check("kubernetes_service.type", severity="blocker")
def test_service_is_open_as_declared(kubernetes_service, service_type):
    """A LoadBalancer or NodePort opens what was meant for the inside only.

    Mend: set `type` of the Service.
    """
    assert service_type in kubernetes_service.type


@pytest.mark.check("kubernetes_service.ready_endpoints", severity="blocker")
def test_service_leads_to_enough_ready_pods(kubernetes_service, ready_endpoints):
    """A selector that matches nothing is a service that nobody answers, with all pods green.

    Mend: compare the selector of the Service with the labels of the pods; see which of these aren't ready.
    """
    assert ready_endpoints in kubernetes_service.ready_endpoints


@pytest.mark.check("ingress.hosts", severity="blocker")
def test_ingress_answers_to_the_declared_hosts(ingress, actual_ingress):
    """A host that no Ingress knows gets the 404 of the controller.

    Mend: set `rules` of the Ingress.
    """
    assert actual_ingress.hosts in ingress.hosts


@pytest.mark.check("ingress.tls_hosts", severity="blocker")
def test_ingress_has_tls_for_the_declared_hosts(ingress, actual_ingress):
    """Without its host under `tls`, the controller answers with a certificate that nobody trusts.

    Mend: set `tls` of the Ingress.
    """
    assert actual_ingress.tls_hosts in ingress.tls_hosts


@pytest.mark.check("ingress.tls_secrets")
def test_ingress_has_its_certificates_from_the_declared_secrets(ingress, actual_ingress):
    """A certificate from a Secret that nobody renews expires one night.

    Mend: set `secretName` to the Secret that cert-manager looks after.
    """
    assert actual_ingress.tls_secrets in ingress.tls_secrets
