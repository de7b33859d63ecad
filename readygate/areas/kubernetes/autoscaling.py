"""Autoscalers of Kubernetes: what they are told to do, and whether they can."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from readygate.areas.kubernetes.objects import Object
from readygate.errors import CouldNotLook


@dataclass(frozen=True, slots=True)
class ActualAutoscaling:
    """An autoscaler; all is None where there is none."""

    min: int | None = None
    max: int | None = None
    targets: Mapping[str, float] = field(default_factory=dict)


def read_autoscaling(told: Object | None) -> ActualAutoscaling:
    """The bounds, and by resource the share of the request that it aims at."""
    if told is None:
        return ActualAutoscaling()
    of_resources = [each["resource"] for each in told["spec"].get("metrics") or () if each.get("type") == "Resource"]
    targets = {each["name"]: each["target"].get("averageUtilization") for each in of_resources}
    return ActualAutoscaling(told["spec"].get("minReplicas", 1), told["spec"]["maxReplicas"], targets)


def looks_after(autoscaler: Object, kind: str, name: str) -> bool:
    target = autoscaler["spec"]["scaleTargetRef"]
    return (target["kind"], target["name"]) == (kind, name)


@dataclass(frozen=True, slots=True)
class Scaling:
    """Whether an autoscaler can scale, and wants all that it may have; all is None where there is none.

    `hindrance` is what the cluster says keeps it from scaling.
    """

    works: bool | None = None
    wants_all: bool | None = None
    hindrance: str = ""

    @property
    def exhausted(self) -> bool | None:
        """CouldNotLook: it can't scale, so what it wants means nothing."""
        if self.works is False:
            raise CouldNotLook(
                f"the autoscaler can't scale: {self.hindrance}", mend="mend that first: declare `scales`"
            )
        return self.wants_all


def read_scaling(told: Object | None, status: Object) -> Scaling:
    """By the conditions of an autoscaler: it finds its workload, and gets the metrics that it aims at."""
    if told is None:
        return Scaling()
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    for kind in ("AbleToScale", "ScalingActive"):
        found = conditions.get(kind, {})
        if found.get("status") != "True":
            hindrance = ": ".join(found[key] for key in ("reason", "message") if found.get(key))
            return Scaling(False, None, hindrance or f"nothing says that it is {kind}")
    return Scaling(True, status.get("desiredReplicas", 0) >= told["spec"]["maxReplicas"])
