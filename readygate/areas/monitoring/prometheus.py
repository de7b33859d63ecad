"""What a Prometheus may be declared to see: targets, series, and alerts that can really fire."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from readygate.areas.asking_http import Api, ApiUrl, Hosts, api
from readygate.areas.monitoring.possible import possible
from readygate.areas.monitoring.promql import conditions_of
from readygate.areas.monitoring.questions import data, samples
from readygate.errors import CouldNotLook, Missing, Mistake
from readygate.expectation import (
    AtLeastCount,
    AtLeastDuration,
    AtLeastVersion,
    AtMostCount,
    AtMostDuration,
    Flag,
    Number,
    Text,
)
from readygate.results import Evidence
from readygate.spec import Spec

if TYPE_CHECKING:
    from readygate.areas.monitoring.monitoring import Monitoring

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")


def an_expression(text: str) -> str:
    """An expression of PromQL; raises Mistake."""
    if not text.strip():
        raise Mistake("an empty expression measures nothing", 'write e.g. "sum(rate(http_requests_total[5m]))"')
    return text


Expression = Annotated[str, AfterValidator(an_expression)]


class Rule(Spec):
    """An alert, by the name that Prometheus has it under, or by a name of your own with `alert`."""

    area: ClassVar[str] = "alert"
    noun: ClassVar[str] = "alert"

    alert: str | None = Field(
        None, description="A setting: its name, if the key is a name of your own.", min_length=1
    )
    with_labels: dict[str, str] | None = Field(
        None, description="A setting: of several by its name, only those are meant to which it adds these labels."
    )
    exists: Flag | None = Field(None, description="Whether Prometheus has loaded an alert of this name.")
    healthy: Flag | None = Field(None, description="Whether its last evaluation worked.")
    can_fire: Flag | None = Field(None, description="Whether what it measures is there, so that it could ever fire.")
    ratio: Flag | None = Field(None, description="Whether it compares a share, one thing divided by another.")
    threshold: Number | None = Field(None, description="The number that it compares with.")
    held_for: AtMostDuration | None = Field(None, description="How long it must hold before it fires.")
    labels: dict[str, Text] | None = Field(None, description="By name: the labels that it adds, such as severity.")
    runbook: Flag | None = Field(None, description="Whether the page that its annotation runbook_url names is there.")
    firing: Flag | None = Field(None, description="Whether it fires at this moment.")

    def means(self, rule: Mapping[str, Any]) -> bool:
        """Whether it is this one, of all that are loaded."""
        name: str = rule["name"]
        labels: Mapping[str, str] = rule["labels"]
        return name == (self.alert or self.name) and (self.with_labels or {}).items() <= labels.items()

    @property
    def sought(self) -> str:
        labels = ", ".join(f"{name}={value}" for name, value in (self.with_labels or {}).items())
        return f"{self.alert or self.name}{labels and f' with {labels}'}"


class Prometheus(Spec):
    """A Prometheus, as its own API tells."""

    area: ClassVar[str] = "prometheus"
    noun: ClassVar[str] = "prometheus"

    url: ApiUrl = Field(description="A setting: its URL, e.g. http://prometheus:9090.")
    headers: dict[str, SecretStr] | None = Field(None, description="A setting: headers that let one in.")
    ca: str | None = Field(None, description="A setting: path of a private CA bundle.")

    ready: Flag | None = Field(None, description="Whether it says that it is ready.")
    version: AtLeastVersion | None = Field(None, description="Its version.")
    config_loaded: Flag | None = Field(None, description="Whether the last reload of its configuration worked.")
    up: dict[str, AtLeastCount] | None = Field(None, description="By job: how many of its targets are up.")
    down: AtMostCount | None = Field(None, description="How many targets are down or not asked yet, in all jobs.")
    scrape_interval: AtMostDuration | None = Field(None, description="How often the slowest target is asked.")
    retention: AtLeastDuration | None = Field(None, description="How long it keeps samples, by time.")
    alertmanagers: AtLeastCount | None = Field(None, description="How many Alertmanagers its alerts get through to.")
    series: dict[Expression, AtLeastCount] | None = Field(
        None, description="By selector, such as http_requests_total: how many series there are."
    )
    queries: dict[Expression, Number] | None = Field(None, description="By expression: the one number that it gives.")
    rules: dict[str, Rule] | None = Field(None, description="Alerts by name.")


@dataclass(frozen=True, slots=True)
class PrometheusState:
    """What it says of itself, and of those that it looks at."""

    version: str | None
    config_loaded: bool
    retention_s: float | None
    targets: Sequence[Mapping[str, Any]]
    evidence: tuple[Evidence, ...] = ()

    def up(self, job: str) -> int:
        return sum(each["health"] == "up" for each in self.targets if each["labels"].get("job") == job)

    @property
    def down(self) -> tuple[str, ...]:
        """Those that are not up, each with its job and why."""
        return tuple(
            f"{each['labels'].get('job')} {each['labels'].get('instance')} ({each['lastError'] or each['health']})"
            for each in self.targets
            if each["health"] != "up"
        )

    @property
    def scrape_interval_s(self) -> float | None:
        """None where it looks at nothing."""
        return max((seconds_of(each["scrapeInterval"]) for each in self.targets), default=None)


@dataclass(frozen=True, slots=True)
class ActualAlert:
    """An alert as it is loaded; `which` tells it from others of its name, if there are any."""

    expression: str
    healthy: bool
    held_for_s: float
    firing: bool
    labels: Mapping[str, str]
    runbook_url: str = ""
    fault: str = ""
    which: str = ""

    @property
    def fires(self) -> bool:
        """CouldNotLook: it can't be evaluated, or was not yet, so that it is quiet proves nothing."""
        if not (self.healthy or self.firing):
            raise CouldNotLook(
                f"the alert was not evaluated: {self.fault or 'not yet'}", mend="try the expression by hand"
            )
        return self.firing

    @property
    def threshold(self) -> float | None:
        """CouldNotLook: it has several, or compares with something that is no number."""
        found = {each.threshold for each in conditions_of(self.expression) if each.limit}
        if len(found) != 1 or None in found:
            raise CouldNotLook(f"the alert does not compare with one number: {self.expression}", mend="look by eye")
        return found.pop()

    @property
    def is_ratio(self) -> bool:
        return any(each.is_ratio for each in conditions_of(self.expression))


@dataclass(frozen=True, slots=True)
class LoadedAlerts:
    """All alerts of one name: each has to be as declared. Without any, `fault` says which there are."""

    name: str
    alerts: tuple[ActualAlert, ...]
    fault: str = ""
    evidence: tuple[Evidence, ...] = ()

    @property
    def exists(self) -> bool:
        return bool(self.alerts)

    @property
    def there(self) -> tuple[ActualAlert, ...]:
        """At least one. Missing: there is none."""
        if not self.alerts:
            mend = "name its file under `rule_files` and reload, or correct the name in the inventory"
            raise Missing(self.fault, cause=f"alert:{self.name}", mend=mend)
        return self.alerts


@dataclass(frozen=True, slots=True)
class Measured:
    """Whether what an alert measures is there; the reason names what is not."""

    can_fire: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MeasuredAlerts:
    """The same of all alerts of one name."""

    loaded: LoadedAlerts
    alerts: tuple[Measured, ...]
    evidence: tuple[Evidence, ...] = ()

    @property
    def there(self) -> tuple[Measured, ...]:
        """At least one. Missing: there is none."""
        return self.alerts if self.loaded.there else ()


def prometheus_api(monitoring: Monitoring, prometheus: Prometheus, hosts: Hosts) -> Api:
    """The way to it, which all questions share."""
    return api("prometheus", prometheus.url, prometheus.headers, prometheus.ca, monitoring.on, hosts)


def observe_prometheus_ready(prometheus_api: Api) -> bool:
    return prometheus_api.get("/-/ready").status == 200


def observe_prometheus(prometheus_api: Api) -> PrometheusState:
    """Three questions about itself. CouldNotLook: it does not answer them."""
    runtime = data(prometheus_api, "/api/v1/status/runtimeinfo")
    targets = data(prometheus_api, "/api/v1/targets", state="active")["activeTargets"]
    up = sum(each["health"] == "up" for each in targets)
    return PrometheusState(
        version=data(prometheus_api, "/api/v1/status/buildinfo").get("version"),
        config_loaded=bool(runtime["reloadConfigSuccess"]),
        retention_s=retention_of(runtime["storageRetention"]),
        targets=targets,
        evidence=(Evidence(f"GET {prometheus_api.url}/api/v1/targets", f"{len(targets)} targets, {up} of them up"),),
    )


def observe_alerts(prometheus_api: Api, alert: Rule) -> LoadedAlerts:
    """The alerts of this name, as they are loaded."""
    groups = data(prometheus_api, "/api/v1/rules", type="alert")["groups"]
    found = [(group["name"], rule) for group in groups for rule in group["rules"] if alert.means(rule)]
    if not found:
        names = sorted({rule["name"] for group in groups for rule in group["rules"]})
        told = f"there is no alert {alert.sought}; there are: {', '.join(names) or 'none'}"
        return LoadedAlerts(alert.name, (), told, (Evidence(f"the alert {alert.sought}", told),))
    several = len(found) > 1
    alerts = tuple(
        ActualAlert(
            expression=rule["query"],
            healthy=rule["health"] == "ok",
            held_for_s=rule["duration"],
            firing=rule["state"] == "firing",
            labels=rule["labels"],
            runbook_url=rule.get("annotations", {}).get("runbook_url", ""),
            fault=rule.get("lastError", ""),
            which=f"the one of {len(found)} in group {group} with {rule['query']}" if several else "",
        )
        for group, rule in found
    )
    told = "\n".join(f"{rule['query']}: {rule['state']}, {rule['health']}" for _, rule in found)
    return LoadedAlerts(alert.name, alerts, evidence=(Evidence(f"the alert {alert.sought}", told),))


def observe_measured(prometheus_api: Api, actual_alerts: LoadedAlerts) -> MeasuredAlerts:
    """Whether each gives series once its conditions are taken out: else it is false for ever, and called healthy.

    CouldNotLook: Prometheus can't evaluate the expression without its conditions.
    """
    asked = {each.expression: possible(each.expression) for each in actual_alerts.alerts}
    counts = {expression: _count(prometheus_api, query) for expression, query in asked.items()}
    why = {expression: _hindrance(prometheus_api, expression, count) for expression, count in counts.items()}
    return MeasuredAlerts(
        actual_alerts,
        tuple(
            Measured(False, f"it can never fire: {reason}") if (reason := why[each.expression]) else Measured(True)
            for each in actual_alerts.alerts
        ),
        tuple(Evidence(f"query {asked[each]}", f"{count} series") for each, count in counts.items()),
    )


def _hindrance(prometheus: Api, expression: str, count: int) -> str:
    """Why an expression that gives so many series without its conditions can't be true; "" where it can."""
    if not count:
        return _missing(prometheus, expression)
    match conditions_of(expression):
        case [only] if only.wants_none_counted:
            return f"of nothing there is no count, not even 0: write absent(), or `{only.measured} or vector(0)`"
        case _:
            return ""


def _missing(prometheus: Api, expression: str) -> str:
    """Which part of the expression has no series, in words."""
    conditions = conditions_of(expression)
    parts = dict.fromkeys(side for each in conditions for side in (each.measured, each.limit) if side)
    if empty := [side for side in parts if not _count(prometheus, possible(side))]:
        return f"nothing is measured by {'; '.join(empty)}"
    return f"each side has series, but none whose labels are alike: {expression}"


def _count(prometheus: Api, asked: str) -> int:
    try:
        return len(samples(prometheus, asked))
    except CouldNotLook as error:
        mend = "try each side of its comparison by hand, and leave can_fire out"
        raise CouldNotLook(
            f"whether it can fire is not known: {error.reason}", cause=error.cause, mend=mend
        ) from None


def observe_runbooks(actual_alerts: LoadedAlerts) -> Mapping[str, bool]:
    """By URL, whether whoever is woken finds the page. CouldNotLook: it is out of reach, or takes a login."""
    return {url: _is_page(url) for url in {each.runbook_url for each in actual_alerts.alerts}}


def _is_page(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    page = api("runbook", f"{parts.scheme}://{parts.netloc}")
    status = page.get(f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/").status
    if status in (401, 403) or 300 <= status < 400:
        raise CouldNotLook(f"{url} answers {status}, so whether it is there is not known", mend="look by eye")
    return status < 300


def observe_series(prometheus_api: Api, key: str) -> int:
    """How many series a selector finds."""
    return len(samples(prometheus_api, key))


def observe_number(prometheus_api: Api, key: str) -> float | None:
    """The one number that an expression gives; None without a sample. CouldNotLook: several, or no number."""
    found = samples(prometheus_api, key)
    if len(found) > 1:
        raise CouldNotLook(f"'{key}' gives {len(found)} numbers", mend="put sum(), max() or min() around it")
    if found and not math.isfinite(found[0]):
        mend = "see whether there is any traffic; 0 divided by 0 is no ratio"
        raise CouldNotLook(f"'{key}' gives {found[0]}, which is no number", mend=mend)
    return found[0] if found else None


def retention_of(told: str) -> float | None:
    """Seconds, of what runtimeinfo says: `15d`, `30d or 10GiB`, or a size alone, which is no time."""
    return next((seconds_of(part) for part in told.split(" or ") if _DURATION.match(part) and "B" not in part), None)


def seconds_of(text: str) -> float:
    """A duration as Prometheus writes it, e.g. 1h30m."""
    return sum(int(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))


FACTS: dict[str, Callable[..., Any]] = {
    "prometheus_api": prometheus_api,
    "prometheus_ready": observe_prometheus_ready,
    "prometheus_state": observe_prometheus,
    "actual_alerts": observe_alerts,
    "measured": observe_measured,
    "runbooks": observe_runbooks,
    "series_count": observe_series,
    "query_number": observe_number,
}
