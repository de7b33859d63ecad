"""What an Alertmanager may be declared to do with an alert, and whether one really arrives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import yaml
from pydantic import AfterValidator, Field, SecretStr, model_validator

from readygate.areas.asking_http import Api, ApiUrl, Hosts, api
from readygate.areas.monitoring.delivery import Delivery
from readygate.areas.monitoring.routing import Route, routed
from readygate.errors import Mistake
from readygate.expectation import AtLeastVersion, AtMostCount, Flag, TextSet
from readygate.spec import Spec

if TYPE_CHECKING:
    from readygate.areas.monitoring.monitoring import Monitoring


def label_set(text: str) -> str:
    """Labels as name=value, with commas between; raises Mistake."""
    labels_of(text)
    return text


def labels_of(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and value.strip() for name, _, value in pairs):
        raise Mistake(f"'{text}' are no labels", "write e.g. severity=critical,team=shop")
    return {name.strip(): value.strip() for name, _, value in pairs}


class Alertmanager(Spec):
    """An Alertmanager, as its own API tells."""

    area: ClassVar[str] = "alertmanager"
    noun: ClassVar[str] = "alertmanager"

    url: ApiUrl = Field(description="A setting: its URL, e.g. http://alertmanager:9093.")
    headers: dict[str, SecretStr] | None = Field(None, description="A setting: headers that let one in.")
    ca: str | None = Field(None, description="A setting: path of a private CA bundle.")

    ready: Flag | None = Field(None, description="Whether it says that it is ready.")
    version: AtLeastVersion | None = Field(None, description="Its version.")
    receivers: TextSet | None = Field(None, description="The receivers that tell somebody; an empty one is none.")
    routes: dict[Annotated[str, AfterValidator(label_set)], TextSet] | None = Field(
        None, description="By labels, such as severity=critical: the receivers that such an alert goes to."
    )
    silences: AtMostCount | None = Field(None, description="How many silences keep alerts quiet at this moment.")
    delivery: Delivery | None = Field(None, description="An alert that is sent to see it arrive.")

    @model_validator(mode="after")
    def _is_allowed(self) -> Alertmanager:
        if self.delivery and self.delivery.allow != self.url:
            raise Mistake(f"`allow` names {self.delivery.allow}, not this Alertmanager", f"write allow: {self.url}")
        return self


@dataclass(frozen=True, slots=True)
class AlertmanagerState:
    """What it has loaded; secrets are taken out by Alertmanager itself."""

    version: str | None
    config: Mapping[str, Any]
    silences: tuple[str, ...]

    @property
    def speaking(self) -> frozenset[str]:
        """The receivers that have anybody to tell."""
        return frozenset(
            each["name"]
            for each in self.config.get("receivers") or ()
            if any(value for key, value in each.items() if key.endswith("_configs"))
        )

    def routes_of(self, labels: Mapping[str, str]) -> tuple[Route, ...]:
        """Those that an alert of these labels takes, by the rules of Alertmanager's routing tree."""
        return tuple(routed(self.config.get("route") or {}, labels))

    def receivers_of(self, labels: Mapping[str, str]) -> frozenset[str]:
        """Those that an alert of these labels goes to, at some time."""
        return frozenset(each.receiver for each in self.routes_of(labels))

    def told(self, labels: Mapping[str, str], now: datetime) -> Told:
        """Those that an alert of these labels reaches at this moment. CouldNotLook: by a clock that is not known."""
        written = (*(self.config.get("mute_time_intervals") or ()), *(self.config.get("time_intervals") or ()))
        intervals = {each["name"]: each.get("time_intervals") or () for each in written}
        quiet = {each: each.muted_by(intervals, now) for each in self.routes_of(labels)}
        return Told(
            frozenset(each.receiver for each, why in quiet.items() if not why),
            "; ".join(f"{each.receiver} hears nothing now: {why}" for each, why in quiet.items() if why),
        )


@dataclass(frozen=True, slots=True)
class Told:
    """The receivers that hear of an alert now, and why others, to which it is routed, don't."""

    receivers: frozenset[str]
    quiet: str


def alertmanager_api(monitoring: Monitoring, alertmanager: Alertmanager, hosts: Hosts) -> Api:
    """The way to it, which all questions share."""
    return api("alertmanager", alertmanager.url, alertmanager.headers, alertmanager.ca, monitoring.on, hosts)


def observe_alertmanager_ready(alertmanager_api: Api) -> bool:
    return alertmanager_api.get("/-/ready").status == 200


def observe_alertmanager(alertmanager_api: Api) -> AlertmanagerState:
    status = alertmanager_api.get("/api/v2/status").json()
    silences = alertmanager_api.get("/api/v2/silences").json()
    active = [each for each in silences if each["status"]["state"] == "active"]
    return AlertmanagerState(
        version=status["versionInfo"].get("version"),
        config=yaml.safe_load(status["config"]["original"]),
        silences=tuple(f"'{each['comment']}' by {each['createdBy']} until {each['endsAt']}" for each in active),
    )


def observe_told(alertmanager_state: AlertmanagerState, key: str) -> Told:
    """The receivers that an alert of these labels reaches now."""
    return alertmanager_state.told(labels_of(key), datetime.now(UTC))


FACTS: dict[str, Callable[..., Any]] = {
    "alertmanager_api": alertmanager_api,
    "alertmanager_ready": observe_alertmanager_ready,
    "alertmanager_state": observe_alertmanager,
    "told": observe_told,
}
