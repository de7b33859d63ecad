"""Whether an alert really arrives: one of Readygate's own is sent, and listened for."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from readygate.areas.asking_http import Api, ApiUrl
from readygate.areas.monitoring.routing import Route
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtMostDuration, Seconds
from readygate.results import Evidence
from readygate.spec import Spec

if TYPE_CHECKING:
    from readygate.areas.monitoring.alertmanager import AlertmanagerState

_MARK = "readygate_probe"
_BY_ALL = "..."


def an_address(text: str) -> str:
    """A host and a port; raises Mistake."""
    host, _, port = text.rpartition(":")
    if not (host and port.isdigit() and 0 < int(port) < 65536):
        raise Mistake(f"'{text}' is no address to listen on", "write e.g. 0.0.0.0:9987")
    return text


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


@dataclass(frozen=True, slots=True)
class Delivered:
    """How long the alert took to arrive; None where it did not in time."""

    after_s: float | None
    reason: str
    evidence: tuple[Evidence, ...] = ()


def observe_delivery(alertmanager_api: Api, alertmanager_state: AlertmanagerState, delivery: Delivery) -> Delivered:
    """Send one alert, and listen for it; in the end it is resolved. CouldNotLook: nobody can listen, or send."""
    probe = secrets.token_hex(8)
    labels = _labels(alertmanager_state, delivery, probe)
    why = ""
    with _listening(delivery.listen, probe) as arrived:
        begun = time.monotonic()
        _send(alertmanager_api, labels, timedelta(seconds=delivery.patience + 60))
        came = arrived.wait(delivery.patience)
        took_s = time.monotonic() - begun
        if not came:
            why = _why_not(alertmanager_api, alertmanager_state, labels)
        _send(alertmanager_api, labels, timedelta())
    told = f"arrived after {took_s:.1f} s" if came else f"had not arrived after {delivery.patience:g} s"
    evidence = Evidence(f"an alert with {labels} to {alertmanager_api.url}", f"{told}\n{why}".strip())
    return Delivered(took_s if came else None, f"the alert {told}{why and f': {why}'}", (evidence,))


def _labels(state: AlertmanagerState, delivery: Delivery, probe: str) -> dict[str, str]:
    """Such that the alert is in a group of its own, as another is told of at once and a member in group_interval.

    What is declared stays, and so do the routes.
    """
    labels = {"alertname": "ReadygateProbe", **delivery.labels, _MARK: probe}
    for route in state.routes_of(labels):
        if _is_alone(route, labels, probe):
            continue
        for name in sorted(route.group_by, key=lambda each: each != "alertname"):
            value = f"{labels[name]}-{probe}" if name in labels else probe
            unique = {**labels, name: value}
            if name not in delivery.labels and state.routes_of(unique) == state.routes_of(labels):
                labels = unique
                break
    return labels


def _is_alone(route: Route, labels: Mapping[str, str], probe: str) -> bool:
    return _BY_ALL in route.group_by or any(probe in labels.get(name, "") for name in route.group_by)


def _why_not(alertmanager: Api, state: AlertmanagerState, labels: Mapping[str, str]) -> str:
    """What Alertmanager does with the alert, in words; empty where it does not tell."""
    try:
        return "; ".join(_reasons(alertmanager, state, labels))
    except (CouldNotLook, KeyError, TypeError) as error:
        return f"why is not known: {error}"


def _reasons(alertmanager: Api, state: AlertmanagerState, labels: Mapping[str, str]) -> Iterator[str]:
    found = alertmanager.get("/api/v2/alerts", {"filter": f'{_MARK}="{labels[_MARK]}"'}).json()
    if not found:
        yield "Alertmanager has no such alert"
        return
    status = found[0]["status"]
    for number in status.get("silencedBy") or ():
        silence = alertmanager.get(f"/api/v2/silence/{number}").json()
        yield f"it is silenced by '{silence['comment']}' of {silence['createdBy']}"
    if inhibiting := status.get("inhibitedBy"):
        others = alertmanager.get("/api/v2/alerts").json()
        names = {each["labels"].get("alertname", "") for each in others if each["fingerprint"] in inhibiting}
        yield f"it is inhibited by {', '.join(sorted(names)) or 'another alert'}"
    if quiet := state.told(labels, datetime.now(UTC)).quiet:
        yield quiet
    elif muting := status.get("mutedBy"):
        yield f"it is muted by {', '.join(muting)}"
    receivers = sorted(each["name"] for each in found[0]["receivers"])
    yield f"it is routed to {', '.join(receivers)}"
    if silent := [each for each in receivers if each not in state.speaking]:
        yield f"{', '.join(silent)} tells nobody"
    for route in state.routes_of(labels):
        if not _is_alone(route, labels, labels[_MARK]):
            grouping = f"grouped by {', '.join(route.group_by)}" if route.group_by else "in one group with all others"
            yield f"for {route.receiver} it is {grouping}, and told of once in {route.group_interval}"


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
    except OSError as error:
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


FACTS: dict[str, Callable[..., Any]] = {"delivered": observe_delivery}
