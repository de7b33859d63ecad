"""What an Alertmanager may be declared to do with an alert, and whether one really arrives."""

from __future__ import annotations

import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import yaml
from pydantic import AfterValidator, Field, SecretStr, model_validator

from readygate.areas.asking_http import Api, ApiUrl, Hosts, api
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtLeastVersion, AtMostCount, AtMostDuration, Flag, Seconds, TextSet
from readygate.results import Evidence
from readygate.spec import Spec

if TYPE_CHECKING:
    from readygate.areas.monitoring.monitoring import Monitoring

_MARK = "readygate_probe"
_MATCHER = re.compile(r'^\s*"?([^\s=!~"]+)"?\s*(=~|!~|!=|=)\s*(.*?)\s*$')


def an_address(text: str) -> str:
    """A host and a port; raises Mistake."""
    host, _, port = text.rpartition(":")
    if not (host and port.isdigit() and 0 < int(port) < 65536):
        raise Mistake(f"'{text}' is no address to listen on", "write e.g. 0.0.0.0:9987")
    return text


def label_set(text: str) -> str:
    """Labels as name=value, with commas between; raises Mistake."""
    labels_of(text)
    return text


def labels_of(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(name.strip() and value.strip() for name, _, value in pairs):
        raise Mistake(f"'{text}' are no labels", "write e.g. severity=critical,team=shop")
    return {name.strip(): value.strip() for name, _, value in pairs}


class Delivery(Spec):
    """An alert of Readygate's own, sent to see it arrive; nothing is sent where this is not declared."""

    area: ClassVar[str] = "delivery"
    noun: ClassVar[str] = "delivery"

    allow: ApiUrl = Field(description="A setting: the Alertmanager's URL again, as leave to send it an alert.")
    listen: Annotated[str, AfterValidator(an_address)] = Field(
        description="A setting: where one listens here for the webhook of a receiver, e.g. 0.0.0.0:9987."
    )
    labels: dict[str, str] = Field(description="A setting: the labels of that alert, by which it is routed.")
    patience: Seconds = Field(60.0, description="A setting: how long to wait for it.")

    within: AtMostDuration = Field(description="How long after it was sent the alert may arrive.")


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

    def receivers_of(self, labels: Mapping[str, str]) -> frozenset[str]:
        """Those that an alert of these labels goes to, by the rules of Alertmanager's routing tree."""
        return frozenset(_routed(self.config.get("route") or {}, labels, ""))


def _routed(route: Mapping[str, Any], labels: Mapping[str, str], above: str) -> Iterator[str]:
    receiver = str(route.get("receiver") or above)
    matched = False
    for each in route.get("routes") or ():
        if _takes(each, labels):
            matched = True
            yield from _routed(each, labels, receiver)
            if not each.get("continue"):
                break
    if not matched:
        yield receiver


def _takes(route: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    plain = [(name, "=", str(value)) for name, value in (route.get("match") or {}).items()]
    by_pattern = [(name, "=~", str(value)) for name, value in (route.get("match_re") or {}).items()]
    written = [_matcher(each) for text in route.get("matchers") or () for each in _single(text)]
    return all(_holds(labels.get(name, ""), sign, value) for name, sign, value in (*plain, *by_pattern, *written))


def _single(text: str) -> list[str]:
    """Several matchers may stand in braces, with commas between that are in no quotes."""
    inner = text.strip().removeprefix("{").removesuffix("}")
    return [part for part in re.findall(r'(?:[^,"]|"(?:\\.|[^"\\])*")+', inner) if part.strip()]


def _matcher(text: str) -> tuple[str, str, str]:
    found = _MATCHER.match(text)
    if not found:
        raise CouldNotLook(f"the route's matcher '{text}' is not understood", mend="correct it")
    value = found[3]
    quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return found[1], found[2], _unquoted(value[1:-1]) if quoted else value


def _unquoted(text: str) -> str:
    """As Alertmanager does it: of other escapes, such as \\. in a pattern, the backslash stays."""
    return re.sub(r'\\([n"\\])', lambda found: "\n" if found[1] == "n" else found[1], text)


def _holds(actual: str, sign: str, value: str) -> bool:
    matches = re.fullmatch(value, actual) is not None if "~" in sign else actual == value
    return matches != sign.startswith("!")


@dataclass(frozen=True, slots=True)
class Delivered:
    """How long the alert took to arrive; None where it did not in time."""

    after_s: float | None
    reason: str
    evidence: tuple[Evidence, ...] = ()


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


def observe_routed(alertmanager_state: AlertmanagerState, key: str) -> frozenset[str]:
    """The receivers that an alert of these labels goes to."""
    return alertmanager_state.receivers_of(labels_of(key))


def observe_delivery(alertmanager_api: Api, delivery: Delivery) -> Delivered:
    """Send one alert, and listen for it; in the end it is resolved. CouldNotLook: nobody can listen, or send."""
    probe = secrets.token_hex(8)
    labels = {"alertname": "ReadygateProbe", **delivery.labels, _MARK: probe}
    with _listening(delivery.listen, probe) as arrived:
        begun = time.monotonic()
        _send(alertmanager_api, labels, timedelta(seconds=delivery.patience + 60))
        came = arrived.wait(delivery.patience)
        took_s = time.monotonic() - begun
        _send(alertmanager_api, labels, timedelta())
    told = f"arrived after {took_s:.1f} s" if came else f"had not arrived after {delivery.patience:g} s"
    evidence = Evidence(f"an alert with {labels} to {alertmanager_api.url}", told)
    return Delivered(took_s if came else None, f"the alert {told}", (evidence,))


def _send(alertmanager: Api, labels: Mapping[str, str], lasts: timedelta) -> None:
    now = datetime.now(UTC)
    told = {"summary": "A probe of Readygate: nothing is wrong, and nothing has to be done."}
    begins = now - timedelta(seconds=1)
    sent = {
        "labels": labels,
        "annotations": told,
        "startsAt": begins.isoformat(),
        "endsAt": (now + lasts).isoformat(),
    }
    status = alertmanager.post("/api/v2/alerts", [sent]).status
    if status != 200:
        raise CouldNotLook(f"Alertmanager does not take an alert: {status}", mend="see the labels, and who may send")


@contextmanager
def _listening(address: str, probe: str) -> Iterator[threading.Event]:
    """A webhook that knows the probe when it comes."""
    arrived = threading.Event()

    class Webhook(BaseHTTPRequestHandler):
        timeout = 5

        def do_POST(self) -> None:
            length = min(int(self.headers.get("Content-Length") or 0), 1_000_000)
            if probe.encode() in self.rfile.read(length):
                arrived.set()
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            """Say nothing."""

    host, _, port = address.rpartition(":")
    try:
        server = ThreadingHTTPServer((host.strip("[]"), int(port)), Webhook)
    except (OSError, socket.gaierror) as error:
        raise CouldNotLook(
            f"one can't listen on {address}: {error}", mend="choose another port in `listen`"
        ) from None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield arrived
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


FACTS: dict[str, Callable[..., Any]] = {
    "alertmanager_api": alertmanager_api,
    "alertmanager_ready": observe_alertmanager_ready,
    "alertmanager_state": observe_alertmanager,
    "routed": observe_routed,
    "delivered": observe_delivery,
}
