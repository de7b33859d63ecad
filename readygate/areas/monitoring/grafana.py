"""What a Grafana and a Loki may be declared to show."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from readygate.areas.asking_http import Answer, Api, ApiUrl, Hosts, api
from readygate.errors import CouldNotLook, Mistake
from readygate.expectation import AtLeastVersion, AtMostDuration, Flag, Seconds, TextSet
from readygate.spec import Spec

if TYPE_CHECKING:
    from readygate.areas.monitoring.monitoring import Monitoring

_REFUSED = (401, 403)
_WRONG = "invalid username or password"
_WRONG_PASSWORD = ("", "basic-auth.invalid-credentials", "password-auth.failed")
_LOCKED = "login-attempt.blocked"


def a_selector(text: str) -> str:
    """A selector of streams; raises Mistake."""
    if not text.strip().startswith("{"):
        raise Mistake(f"'{text}' selects no streams", "write e.g. '{service=\"api\"}'")
    return text


class Grafana(Spec):
    """A Grafana, as its own API tells."""

    area: ClassVar[str] = "grafana"
    noun: ClassVar[str] = "grafana"

    url: ApiUrl = Field(description="A setting: its URL, e.g. https://monitoring.example.com.")
    headers: dict[str, SecretStr] | None = Field(
        None, description='A setting: a service account\'s token, as Authorization: "Bearer ${GRAFANA_TOKEN}".'
    )
    ca: str | None = Field(None, description="A setting: path of a private CA bundle.")

    healthy: Flag | None = Field(None, description="Whether it reaches its own database.")
    version: AtLeastVersion | None = Field(None, description="Its version, where it tells a stranger.")
    default_password_refused: Flag | None = Field(
        None, description="Whether admin/admin is sent away; one login is tried."
    )
    login_required: Flag | None = Field(None, description="Whether a stranger sees nothing.")
    dashboards: TextSet | None = Field(None, description="Titles of its dashboards; {contains: [...]} for some.")
    datasources: dict[str, Flag] | None = Field(
        None, description="By name: whether the data source is there and its own health check works."
    )


class Loki(Spec):
    """A Loki, as its own API tells."""

    area: ClassVar[str] = "loki"
    noun: ClassVar[str] = "loki"

    url: ApiUrl = Field(description="A setting: its URL, e.g. http://loki:3100.")
    headers: dict[str, SecretStr] | None = Field(None, description="A setting: headers, such as X-Scope-OrgID.")
    ca: str | None = Field(None, description="A setting: path of a private CA bundle.")
    look_back: Seconds = Field(86400.0, description="A setting: how far back lines are looked for.")

    ready: Flag | None = Field(None, description="Whether it says that it is ready.")
    fresh: dict[Annotated[str, AfterValidator(a_selector)], AtMostDuration] | None = Field(
        None, description='By selector, such as {service="api"}: the age of its newest line.'
    )


@dataclass(frozen=True, slots=True)
class GrafanaHealth:
    """What it tells everybody."""

    healthy: bool
    version: str | None


def grafana_api(monitoring: Monitoring, grafana: Grafana, hosts: Hosts) -> Api:
    """The way to it, which all questions share."""
    return api("grafana", grafana.url, grafana.headers, grafana.ca, monitoring.on, hosts)


def observe_grafana_health(grafana_api: Api) -> GrafanaHealth:
    answer = grafana_api.get("/api/health", plain=True)
    told = answer.parsed()
    return GrafanaHealth(answer.status == 200 and told.get("database") == "ok", told.get("version"))


def observe_default_password(grafana_api: Api) -> bool:
    """Whether admin/admin is refused, by Grafana itself. CouldNotLook: the answer is neither yes nor no."""
    answer = grafana_api.get("/api/user", login=("admin", "admin"))
    if answer.status == 200 and "login" in answer.parsed():
        return False
    told = answer.parsed()
    # Since 9.4 it says by what it refuses; one that is locked refuses the right password too.
    code, message = str(told.get("messageId", "")), str(told.get("message", ""))
    if answer.status == 401 and code == _LOCKED:
        mend = "wait for five minutes, and see in Grafana's log who tries passwords"
        raise CouldNotLook(f"{answer.url}: the login of admin is locked after too many wrong passwords", mend=mend)
    if answer.status == 401 and code in _WRONG_PASSWORD and message.lower() == _WRONG:
        return True
    raise CouldNotLook(
        f"{answer.url} answers {answer.status} in words that are not Grafana's for a wrong password",
        mend="ask Grafana itself, past any proxy that has a login of its own, with [auth.basic] enabled",
    )


def observe_login_required(grafana_api: Api) -> bool:
    """Whether a stranger is refused. CouldNotLook: the answer is neither yes nor no."""
    return _is_refused(grafana_api.get("/api/search", {"limit": "1"}, plain=True))


def _is_refused(answer: Answer) -> bool:
    if answer.status not in (200, *_REFUSED):
        raise CouldNotLook(f"{answer.url} answers {answer.status}", mend="see that this is Grafana's own URL")
    if answer.status == 200:
        answer.json()  # a page of somebody else's is no proof of anything
    return answer.status in _REFUSED


def observe_dashboards(grafana_api: Api) -> frozenset[str]:
    return frozenset(
        each["title"] for each in grafana_api.get("/api/search", {"type": "dash-db", "limit": "5000"}).json()
    )


def observe_datasource(grafana_api: Api, key: str) -> bool | None:
    """Whether a data source works; None where there is none of this name."""
    found = next((each for each in grafana_api.get("/api/datasources").json() if each["name"] == key), None)
    if found is None:
        return None
    answer = grafana_api.get(f"/api/datasources/uid/{found['uid']}/health")
    if answer.status not in (200, 400, 500):
        answer.json()
    return answer.status == 200 and answer.parsed().get("status") == "OK"


def loki_api(monitoring: Monitoring, loki: Loki, hosts: Hosts) -> Api:
    """The way to it, which all questions share."""
    return api("loki", loki.url, loki.headers, loki.ca, monitoring.on, hosts)


def observe_loki_ready(loki_api: Api) -> bool:
    return loki_api.get("/ready").status == 200


def observe_newest_line(loki_api: Api, loki: Loki, key: str) -> float | None:
    """Seconds since the newest line of the streams; None where there is none as far as one looks back."""
    now = time.time()
    since = f"{int((now - loki.look_back) * 1e9)}"
    wanted = {"query": key, "limit": "1", "direction": "backward", "start": since, "end": f"{int(now * 1e9)}"}
    answer = loki_api.get("/loki/api/v1/query_range", wanted)
    streams = answer.json()["data"]["result"]
    newest = max((int(line[0]) for stream in streams for line in stream["values"]), default=None)
    return None if newest is None else max(0.0, now - newest / 1e9)


FACTS: dict[str, Callable[..., Any]] = {
    "grafana_api": grafana_api,
    "grafana_health": observe_grafana_health,
    "default_password_refused": observe_default_password,
    "login_required": observe_login_required,
    "dashboards": observe_dashboards,
    "datasource_works": observe_datasource,
    "loki_api": loki_api,
    "loki_ready": observe_loki_ready,
    "newest_line_s": observe_newest_line,
}
