"""Whether the alerts of a Prometheus get through to its Alertmanagers; it lists a dead one as active for ever."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from readygate.areas.asking_http import Api, Hosts, api
from readygate.areas.monitoring.questions import data, samples
from readygate.errors import CouldNotLook, Mistake, NobodyListens
from readygate.results import Evidence

if TYPE_CHECKING:
    from readygate.areas.monitoring.monitoring import Monitoring

# An alert that fires is sent again each minute, so five have several attempts.
_LATELY = "5m"
_LOOPBACK = re.compile(r"localhost|127\.[\d.]+|::1")


@dataclass(frozen=True, slots=True)
class Way:
    """The way to one Alertmanager; `is_open` is None where nobody can tell."""

    url: str
    is_open: bool | None
    told: str


@dataclass(frozen=True, slots=True)
class Alerting:
    """The ways to all Alertmanagers that a Prometheus is told to send alerts to."""

    ways: Sequence[Way]
    evidence: tuple[Evidence, ...] = ()

    @property
    def reached(self) -> int:
        """How many get its alerts. CouldNotLook: of one it is not known."""
        if unknown := [each for each in self.ways if each.is_open is None]:
            reason = "; ".join(f"{each.url}: {each.told}" for each in unknown)
            mend = "let this Prometheus scrape itself and have one alert always fire: its own counters tell then"
            raise CouldNotLook(f"whether alerts get through is not known: {reason}", mend=mend)
        return sum(each.is_open is True for each in self.ways)

    @property
    def reason(self) -> str:
        closed = [f"{each.url}: {each.told}" for each in self.ways if not each.is_open]
        return "; ".join(closed) or f"it is told of {len(self.ways)}"


def observe_alerting(prometheus_api: Api, monitoring: Monitoring, hosts: Hosts) -> Alerting:
    """Each Alertmanager by what Prometheus counted when it last sent alerts, or else by its own answer."""
    listed = data(prometheus_api, "/api/v1/alertmanagers")["activeAlertmanagers"]
    ways = tuple(_way(prometheus_api, each["url"], monitoring, hosts) for each in listed)
    told = "\n".join(f"{each.url}: {each.told}" for each in ways) or "none"
    return Alerting(ways, (Evidence(f"alertmanagers of {prometheus_api.url}", told),))


def _way(prometheus: Api, url: str, monitoring: Monitoring, hosts: Hosts) -> Way:
    sent, failed = (_lately(prometheus, name, url) for name in ("sent", "errors"))
    if failed:
        return Way(url, False, f"Prometheus failed to deliver alerts in the last {_LATELY}")
    if sent:
        return Way(url, True, f"Prometheus delivered alerts in the last {_LATELY}, and none failed")
    base = re.sub(r"/api/v\d/alerts$", "", url)
    if not _is_here(base, prometheus):
        return Way(url, None, "Prometheus has counted no alert lately, and from here it is not what Prometheus sees")
    return _asked(url, base, monitoring, hosts)


def _lately(prometheus: Api, name: str, url: str) -> bool:
    """Whether Prometheus counted any; not where it does not scrape itself."""
    label = url.replace("\\", r"\\").replace('"', r"\"")
    counter = f'prometheus_notifications_{name}_total{{alertmanager="{label}"}}'
    return any(each > 0 for each in samples(prometheus, f"increase({counter}[{_LATELY}])"))


def _is_here(url: str, prometheus: Api) -> bool:
    """Whether that address means the same from here: no loopback of another machine."""
    there, asked = (urlsplit(each).hostname or "" for each in (url, prometheus.url))
    own_loopback = _LOOPBACK.fullmatch(asked) is not None
    return own_loopback or _LOOPBACK.fullmatch(there) is None


def _asked(url: str, base: str, monitoring: Monitoring, hosts: Hosts) -> Way:
    declared = monitoring.alertmanager
    known = declared if declared and declared.url == base else None
    try:
        alertmanager = api(
            "alertmanager",
            base,
            known.headers if known else None,
            known.ca if known else None,
            monitoring.on,
            hosts,
        )
        status = alertmanager.get("/-/ready").status
    except NobodyListens as error:
        return Way(url, False, error.reason)
    except (CouldNotLook, Mistake) as error:
        return Way(url, None, str(error))
    is_open = {200: True, 503: False}.get(status)
    return Way(url, is_open, f"{base}/-/ready answers {status}")


FACTS: dict[str, Callable[..., Any]] = {"alerting": observe_alerting}
