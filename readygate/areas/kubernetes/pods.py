"""The pods of a workload of Kubernetes, and how their containers fare: restarts, crashes, missing images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from readygate.areas.kubernetes.objects import Object, selects

_IMAGE_ERRORS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")


@dataclass(frozen=True, slots=True)
class WorkloadPods:
    """How the containers of a workload's pods fare; all is None where there is no pod. Texts are `pod/container`."""

    restarts: int | None = None
    crash_looping: tuple[str, ...] | None = None
    without_image: tuple[str, ...] | None = None
    oom_killed: tuple[str, ...] | None = None

    @property
    def crash_loops(self) -> int | None:
        return _count(self.crash_looping)

    @property
    def image_errors(self) -> int | None:
        return _count(self.without_image)

    @property
    def oom_kills(self) -> int | None:
        return _count(self.oom_killed)


def _count(names: tuple[str, ...] | None) -> int | None:
    return None if names is None else len(names)


def read_pods(workload: Object | None, pods: tuple[Object, ...]) -> WorkloadPods:
    """The pods that the workload selects."""
    own = [each for each in pods if _selects(workload, each)]
    if not own:
        return WorkloadPods()
    states = [(f"{pod['metadata']['name']}/{each['name']}", each) for pod in own for each in _containers(pod)]
    return WorkloadPods(
        restarts=sum(each.get("restartCount", 0) for _, each in states),
        crash_looping=tuple(name for name, each in states if _waits_for(each) == "CrashLoopBackOff"),
        without_image=tuple(name for name, each in states if _waits_for(each) in _IMAGE_ERRORS),
        oom_killed=tuple(name for name, each in states if "OOMKilled" in _ended_by(each)),
    )


def _selects(workload: Object | None, pod: Object) -> bool:
    selector = ((workload or {}).get("spec") or {}).get("selector") or {}
    return bool(selector) and selects(selector, pod["metadata"].get("labels") or {})


def _containers(pod: Object) -> Iterator[dict[str, Any]]:
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _waits_for(container: Object) -> str | None:
    reason: str | None = ((container.get("state") or {}).get("waiting") or {}).get("reason")
    return reason


def _ended_by(container: Object) -> set[str | None]:
    """Why it ended, now and the time before."""
    states = (container.get("state") or {}, container.get("lastState") or {})
    return {(each.get("terminated") or {}).get("reason") for each in states}
