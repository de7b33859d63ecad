"""Alerts that are muted, grouped, silenced and inhibited, by a real Alertmanager."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from readygate.areas.monitoring.time_intervals import holds_at
from readygate.errors import CouldNotLook
from tests.database_servers import free_port
from tests.monitoring_servers import new_alertmanager
from tests.projects import Project
from tests.test_area_monitoring import failing, reasons

CONFIG = """\
route:
  receiver: chat
  group_by: [alertname]
  group_wait: 0s
  group_interval: 5m
  routes:
    - {matchers: ['team="night"'], receiver: pager, mute_time_intervals: [always]}
    - {matchers: ['team="day"'], receiver: pager, active_time_intervals: [never]}
    - matchers: ['team="now"']
      receiver: pager
      mute_time_intervals: [never]
      active_time_intervals: [never, always]
    - {matchers: ['team="both"'], receiver: pager, mute_time_intervals: [always], continue: true}
    - {matchers: ['team="both"'], receiver: chat}
    - {matchers: ['team="service"'], receiver: chat, group_by: [cluster, service]}
    - {matchers: ['team="each"'], receiver: chat, group_by: ['...']}
    - matchers: ['team="named"']
      receiver: nobody
      routes: [{matchers: ['alertname="ReadygateProbe"'], receiver: chat}]
    - {matchers: ['team="all"'], receiver: chat, group_by: [team]}
receivers:
  - {name: chat, webhook_configs: [{url: "http://127.0.0.1:HOOK/"}]}
  - {name: pager, webhook_configs: [{url: "http://127.0.0.1:HOOK/"}]}
  - {name: nobody}
inhibit_rules:
  - {source_matchers: ['alertname="Outage"'], target_matchers: ['team="each"']}
mute_time_intervals:
  - {name: always, time_intervals: [{times: [{start_time: "00:00", end_time: "24:00"}]}]}
time_intervals:
  - {name: never, time_intervals: [{years: ["2000"]}]}
"""


@pytest.fixture(scope="module")
def hook() -> int:
    return free_port()


@pytest.fixture(scope="module")
def alertmanager(hook: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    config = CONFIG.replace("HOOK", str(hook))
    with new_alertmanager(tmp_path_factory.mktemp("alertmanager"), config) as url:
        yield url


def told_of(alertmanager: str, labels: str, *receivers: str) -> str:
    """Why an alert of these labels does not reach them; empty where it does."""
    routes = {labels: list(receivers)}
    return reasons(alertmanager={"url": alertmanager, "routes": routes})["alertmanager.routes"]


def test_a_route_that_is_always_muted_tells_nobody(alertmanager: str) -> None:
    said = told_of(alertmanager, "team=night", "pager")
    assert said == "team=night reaches nobody; pager hears nothing now: it is muted by always"


def test_a_route_that_is_active_at_another_time_tells_nobody(alertmanager: str) -> None:
    assert "pager hears nothing now: it is active only in never" in told_of(alertmanager, "team=day", "pager")


def test_a_route_that_is_not_muted_now_tells_its_receiver(alertmanager: str) -> None:
    assert told_of(alertmanager, "team=now", "pager") == ""


def test_of_two_routes_the_one_that_is_not_muted_tells_its_receiver(alertmanager: str) -> None:
    assert "pager hears nothing" in told_of(alertmanager, "team=both", "chat", "pager")
    assert told_of(alertmanager, "team=both", "chat") == ""


@pytest.mark.parametrize(
    ("interval", "moment", "holds"),
    [
        ({}, "2026-11-29T12:00+00:00", True),
        ({"weekdays": ["monday:friday"]}, "2026-11-29T12:00+00:00", False),  # a Sunday
        ({"weekdays": ["monday:friday", "sunday"]}, "2026-11-29T12:00+00:00", True),
        ({"weekdays": ["sunday:monday"]}, "2026-11-28T12:00+00:00", False),
        ({"times": [{"start_time": "09:00", "end_time": "17:00"}]}, "2026-11-29T16:59+00:00", True),
        ({"times": [{"start_time": "09:00", "end_time": "17:00"}]}, "2026-11-29T17:00+00:00", False),
        (
            {"times": [{"start_time": "09:00", "end_time": "17:00"}], "location": "Europe/Kyiv"},
            "2026-11-29T07:30+00:00",
            True,
        ),
        ({"weekdays": ["monday"], "location": "Australia/Melbourne"}, "2026-11-29T20:00+00:00", True),
        ({"days_of_month": ["-3:-1"]}, "2026-02-26T00:00+00:00", True),
        ({"days_of_month": ["-3:-1"]}, "2026-02-25T00:00+00:00", False),
        ({"days_of_month": ["30:31"]}, "2026-02-28T00:00+00:00", False),
        ({"days_of_month": ["20:31"], "months": ["2"]}, "2026-02-28T00:00+00:00", True),
        ({"months": ["january:march", "12"]}, "2026-12-01T00:00+00:00", True),
        ({"months": ["january:march"], "years": ["2020:2026"]}, "2026-04-01T00:00+00:00", False),
        ({"years": ["2020:2025", "2027"]}, "2026-04-01T00:00+00:00", False),
    ],
)
def test_a_time_interval_holds_as_it_is_written(interval: dict[str, Any], moment: str, holds: bool) -> None:
    assert holds_at(interval, datetime.fromisoformat(moment), "it") == holds


@pytest.mark.parametrize("interval", [{"location": "Local"}, {"location": "No/Where"}, {"seasons": ["winter"]}])
def test_a_time_interval_that_is_not_understood_is_an_error(interval: dict[str, Any]) -> None:
    with pytest.raises(CouldNotLook, match="of the time interval 'it' is not understood"):
        holds_at(interval, datetime.fromisoformat("2026-11-29T12:00+00:00"), "it")


# Whether an alert really arrives


def delivery(alertmanager: str, hook: int, team: str, patience: str = "20s", **labels: str) -> dict[str, Any]:
    sent = {"allow": alertmanager, "listen": f"127.0.0.1:{hook}", "labels": {"team": team, **labels}}
    return {"url": alertmanager, "delivery": {**sent, "within": "20s", "patience": patience}}


@pytest.mark.parametrize("team", ["everybody", "service", "each"])
def test_a_second_alert_arrives_at_once_where_groups_are_told_of_seldom(
    alertmanager: str, hook: int, team: str
) -> None:
    for _ in range(2):
        assert failing(alertmanager=delivery(alertmanager, hook, team)) == set()


def why_late(alertmanager: str, hook: int, team: str, **labels: str) -> str:
    return reasons(alertmanager=delivery(alertmanager, hook, team, patience="2s", **labels))["delivery.within"]


def test_the_name_of_the_alert_stays_where_it_is_routed_by_it(alertmanager: str, hook: int) -> None:
    assert failing(alertmanager=delivery(alertmanager, hook, "named")) == set()
    assert "for chat it is grouped by alertname, and told of once in 5m" in why_late(alertmanager, hook, "named")


def test_an_alert_in_a_group_with_others_is_late_for_that(alertmanager: str, hook: int) -> None:
    assert failing(alertmanager=delivery(alertmanager, hook, "all")) == set()
    assert "for chat it is grouped by team, and told of once in 5m" in why_late(alertmanager, hook, "all")


def test_an_alert_that_is_muted_does_not_arrive_and_why_is_told(alertmanager: str, hook: int) -> None:
    assert "had not arrived after 2 s: pager hears nothing now: it is muted" in why_late(alertmanager, hook, "night")
    assert "active only in never" in why_late(alertmanager, hook, "day")


def test_an_alert_of_a_receiver_without_integrations_does_not_arrive_and_why_is_told(
    alertmanager: str, hook: int
) -> None:
    assert "nobody tells nobody" in why_late(alertmanager, hook, "named", alertname="Other")


def test_an_alert_that_is_silenced_does_not_arrive_and_why_is_told(alertmanager: str, hook: int) -> None:
    with silenced(alertmanager, team="each"):
        assert "it is silenced by 'moving house' of maya" in why_late(alertmanager, hook, "each")


def test_an_alert_that_is_inhibited_does_not_arrive_and_why_is_told(alertmanager: str, hook: int) -> None:
    post(f"{alertmanager}/api/v2/alerts", [{"labels": {"alertname": "Outage"}}])
    try:
        assert "it is inhibited by Outage" in why_late(alertmanager, hook, "each")
    finally:
        gone = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        post(f"{alertmanager}/api/v2/alerts", [{"labels": {"alertname": "Outage"}, "endsAt": gone}])


def post(url: str, sent: Any) -> str:
    asked = urllib.request.Request(url, json.dumps(sent).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=5) as answer:
        return answer.read().decode()


@contextmanager
def silenced(alertmanager: str, **labels: str) -> Iterator[None]:
    until_when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    silence = {
        "matchers": [{"name": name, "value": value, "isRegex": False} for name, value in labels.items()],
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": until_when,
        "createdBy": "maya",
        "comment": "moving house",
    }
    number = json.loads(post(f"{alertmanager}/api/v2/silences", silence))["silenceID"]
    try:
        yield
    finally:
        gone = urllib.request.Request(f"{alertmanager}/api/v2/silence/{number}", method="DELETE")
        urllib.request.urlopen(gone, timeout=5).close()


def test_patience_outlasts_the_limit_of_other_checks(alertmanager: str, hook: int, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write(
        "inventory.yml",
        f"""\
        project: shop
        monitoring:
          main:
            alertmanager:
              url: {alertmanager}
              delivery:
                allow: {alertmanager}
                listen: 127.0.0.1:{hook}
                labels: {{team: night}}
                patience: 4s
                within: 2s
    """,
    )
    ended = project.readygate("run", "--", "--timeout=2")
    assert "had not arrived after 4 s" in ended.result("delivery.within")["message"], ended.stderr
