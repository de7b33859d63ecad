"""The area of monitoring, shown on a real Prometheus and a real Alertmanager, sound and broken."""

from __future__ import annotations

import base64
import inspect
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from readygate.areas import FACTS
from readygate.areas.monitoring.alertmanager import AlertmanagerState, labels_of
from readygate.areas.monitoring.monitoring import Monitoring
from readygate.areas.monitoring.possible import possible
from readygate.areas.monitoring.prometheus import retention_of
from readygate.areas.monitoring.promql import conditions_of
from readygate.errors import CouldNotLook
from readygate.facts import Facts
from readygate.fleet import EVIDENCE
from readygate.spec import leaves
from tests.database_servers import free_port, hosts_of, needed
from tests.holding import LOCAL, suite_functions
from tests.monitoring_servers import Prometheus, Web, new_alertmanager, new_prometheus, until, web
from tests.projects import Project

FUNCTIONS = dict(suite_functions("monitoring"))


def reasons(on: str | None = None, **declared: Any) -> dict[str, str]:
    """By check, why it doesn't hold; an empty text where it does."""
    facts = Facts(FACTS, hosts_of(LOCAL))
    outcomes: dict[str, str] = {}
    monitoring = Monitoring.model_validate({"on": on, **declared})
    for leaf in leaves(monitoring, "main", ("monitoring", "main")):
        function = FUNCTIONS[leaf.check]
        try:
            function(**{name: facts.get(name, leaf) for name in inspect.signature(function).parameters})
            why = ""
        except AssertionError as error:
            why = str(error) or f"not {leaf.expected}"
        outcomes[leaf.check] = outcomes.get(leaf.check, "") + why
    return outcomes


def failing(on: str | None = None, **declared: Any) -> set[str]:
    """Which of what is declared does not hold."""
    return {check.partition(".")[2] for check, why in reasons(on, **declared).items() if why}


def why_blind(on: str | None = None, **declared: Any) -> CouldNotLook:
    with pytest.raises(CouldNotLook) as caught:
        reasons(on, **declared)
    return caught.value


# Prometheus

CONFIG = """\
global: {scrape_interval: 200ms, evaluation_interval: 200ms}
rule_files: [rules.yml]
alerting: {alertmanagers: [{static_configs: [{targets: ["127.0.0.1:ALERTS"]}]}]}
scrape_configs:
  - {job_name: shop, static_configs: [{targets: ["127.0.0.1:SHOP"]}]}
  - {job_name: prometheus, scrape_interval: 1s, static_configs: [{targets: [SELF]}]}
"""
RULES = """\
groups:
  - name: sound
    rules:
      - alert: ErrorsAreMany
        expr: |
          sum(rate(http_requests_total{status=~"5.."}[5s])) / sum(rate(http_requests_total[5s])) > 0.05
        for: 5m
        labels: {severity: critical}
        annotations: {runbook_url: "http://127.0.0.1:SHOP/runbooks?page=errors#first"}
      - alert: ShopIsSlow
        expr: histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5s]))) > 1
        for: 5m
        labels: {severity: critical}
        annotations: {runbook_url: "http://127.0.0.1:SHOP/lost"}
      - alert: ShopIsGone
        expr: absent(up{job="shop"})
  - name: traps
    rules:
      - {alert: HighErrorRate, expr: 'rate(http_requests_total{status=~"5.."}[5s]) > 0.05', for: 5m}
      - {alert: HighLatency, expr: 'histogram_quantile(0.95, http_request_duration_seconds) > 1', for: 5m}
      - alert: Renamed
        expr: shop_queue_length > 100 and on () up == 1
        annotations: {runbook_url: see the wiki}
      - alert: FiresNow
        expr: up{job="shop"} == 1
        annotations: {runbook_url: "http://127.0.0.1:SHOP/private"}
      - {alert: Twice, expr: 'up{job="shop"} > 5', labels: {severity: critical}}
      - {alert: Twice, expr: 'shop_queue_length > 5', for: 1h, labels: {severity: critical, team: queue}}
      - {alert: BehindALimit, expr: 'http_requests_total > on (job) shop_requests_allowed'}
      - {alert: UnlikeLabels, expr: 'http_requests_total > 1 and prometheus_build_info'}
      - {alert: ManyAreGone, expr: 'count(up == 0) > 2'}
      - {alert: NoneIsUp, expr: 'count by (job) (up{job="shop"}) == 0'}
      - {alert: FewAreUp, expr: 'count(up) < 1'}
      - {alert: OnlyOneIsUp, expr: 'count(up{job="shop"}) <= 1'}
      - {alert: NoneOrZero, expr: '(count(up{job="lost"}) or vector(0)) == 0'}
      - {alert: OneOrTheOther, expr: 'shop_queue_length > 100 or http_requests_total < 0'}
      - {alert: AllButTheQueue, expr: 'up < 0 unless on (job) shop_closed'}
      - {alert: AndAfterUnless, expr: 'up < 0 unless on (job) shop_closed and on () shop_queue_length'}
      - {alert: AbsentHere, expr: 'absent(up{job="lost"}) == 1 and on (job) up{job="prometheus"}'}
      - {alert: AbsentThere, expr: 'absent(up{job="shop"}) == 1 and on (job) up{job="shop"}'}
      - {alert: ManyNames, expr: '{__name__=~"http_requests_total|up|scrape_samples_scraped", job="shop"} < 0'}
      - {alert: Clashes, expr: 'http_requests_total * on (job) up{job="shop"} * on (job) http_requests_total > 0'}
"""


def exposition(handler: Any) -> str:
    """What a shop exports: ten requests a second, one in a thousand an error, all of them quick."""
    count = int(time.monotonic() * 10)
    return f"""\
http_requests_total{{status="200"}} {count * 999}
http_requests_total{{status="500"}} {count}
http_request_duration_seconds_bucket{{le="0.1"}} {count * 1000}
http_request_duration_seconds_bucket{{le="1"}} {count * 1000}
http_request_duration_seconds_bucket{{le="+Inf"}} {count * 1000}
http_request_duration_seconds_sum {count * 10}
http_request_duration_seconds_count {count * 1000}
"""


@pytest.fixture(scope="module")
def shop() -> Iterator[Web]:
    with web({"/metrics": exposition, "/runbooks": "Look at the graph.", "/private": 403}) as target:
        yield target


@pytest.fixture(scope="module")
def prometheus(shop: Web, alertmanager: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    config = CONFIG.replace("SHOP", str(shop.port)).replace("ALERTS", alertmanager.rpartition(":")[2])
    options = ["--storage.tsdb.retention.time=30d"]
    rules = RULES.replace("SHOP", str(shop.port))
    with new_prometheus(tmp_path_factory.mktemp("prometheus"), config, rules, *options) as server:
        until(lambda: server.ask('sum(rate(http_requests_total{status="500"}[5s])) > 0'))
        until(lambda: server.ask("rate(http_request_duration_seconds_bucket[5s])"))
        until(lambda: server.ask("prometheus_build_info"))
        until(lambda: server.ask('ALERTS{alertname="FiresNow", alertstate="firing"}'))
        until(lambda: all(rule["health"] != "unknown" for rule in rules_of(server)))
        yield server


def rules_of(server: Prometheus) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{server.url}/api/v1/rules", timeout=5) as answer:
        return [rule for group in json.load(answer)["data"]["groups"] for rule in group["rules"]]


ALERT = {"exists": True, "healthy": True, "can_fire": True, "held_for": "5m", "labels": {"severity": "critical"}}
SOUND: dict[str, Any] = {
    "ready": True,
    "version": ">=2.40",
    "config_loaded": True,
    "up": {"shop": 1, "prometheus": 1},
    "down": 0,
    "scrape_interval": "1s",
    "retention": "30d",
    "alertmanagers": 1,
    "series": {"http_requests_total": 2, 'http_requests_total{status=~"5.."}': 1},
    "queries": {'sum(rate(http_requests_total{status="500"}[5s])) / sum(rate(http_requests_total[5s]))': "<0.01"},
    "rules": {
        "ErrorsAreMany": {**ALERT, "ratio": True, "threshold": 0.05, "runbook": True, "firing": False},
        "ShopIsSlow": {**ALERT, "threshold": 1},
        "ShopIsGone": {"exists": True, "can_fire": True},
    },
}


@pytest.mark.parametrize("on", [None, "mon-1"], ids=["from here", "from a server"])
def test_a_sound_prometheus_holds_all_that_is_declared(prometheus: Prometheus, on: str | None) -> None:
    assert failing(on, prometheus={"url": prometheus.url, **SOUND}) == set()


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": ">=99"},
        {"up": {"shop": 2}},
        {"up": {"zenzefi-backend": 1}},
        {"scrape_interval": "500ms"},
        {"retention": "90d"},
        {"alertmanagers": 2},
        {"series": {"http_requests_count": 1}},
        {"queries": {"sum(up)": ">=3"}},
        {"queries": {"sum(nothing_of_this_name)": "<1"}},
    ],
    ids=str,
)
def test_what_is_otherwise_than_declared_fails(prometheus: Prometheus, wrong: dict[str, Any]) -> None:
    assert failing(prometheus={"url": prometheus.url, **wrong}) == set(wrong)


def alert(prometheus: Prometheus, name: str, **expected: Any) -> dict[str, str]:
    return reasons(prometheus={"url": prometheus.url, "rules": {name: expected}})


def test_an_alert_over_a_histogram_that_has_no_such_series_can_never_fire(prometheus: Prometheus) -> None:
    seen = alert(prometheus, "HighLatency", exists=True, healthy=True, can_fire=True)
    assert seen["alert.healthy"] == ""
    assert seen["alert.can_fire"] == (
        "it can never fire: nothing is measured by histogram_quantile(0.95, http_request_duration_seconds)"
    )


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("BehindALimit", "nothing is measured by shop_requests_allowed"),
        ("Renamed", "nothing is measured by shop_queue_length"),
        ("UnlikeLabels", "each side has series, but none whose labels are alike"),
        ("AndAfterUnless", "nothing is measured by shop_queue_length"),
        ("NoneIsUp", "of nothing there is no count"),
        ("FewAreUp", "of nothing there is no count"),
        ("AbsentHere", "each side has series, but none whose labels are alike"),
    ],
)
def test_an_alert_with_a_side_that_is_missing_can_never_fire(prometheus: Prometheus, name: str, missing: str) -> None:
    assert missing in alert(prometheus, name, can_fire=True)["alert.can_fire"]


@pytest.mark.parametrize(
    "name",
    [
        "ManyAreGone",
        "OnlyOneIsUp",
        "NoneOrZero",
        "OneOrTheOther",
        "AllButTheQueue",
        "AbsentThere",
        "FiresNow",
        "ShopIsGone",
    ],
)
def test_an_alert_that_is_quiet_while_all_is_well_can_fire(prometheus: Prometheus, name: str) -> None:
    assert alert(prometheus, name, can_fire=True)["alert.can_fire"] == ""


def test_whether_an_alert_can_fire_is_not_known_where_it_can_not_be_asked(prometheus: Prometheus) -> None:
    error = why_blind(prometheus={"url": prometheus.url, "rules": {"ManyNames": {"can_fire": True}}})
    assert "whether it can fire is not known" in error.reason
    assert "same labelset" in error.reason


def test_an_alert_that_takes_a_rate_for_a_share_is_seen(prometheus: Prometheus) -> None:
    seen = alert(prometheus, "HighErrorRate", can_fire=True, ratio=True)
    assert seen["alert.can_fire"] == ""
    assert seen["alert.ratio"].startswith("it compares no share: rate(")


@pytest.mark.parametrize("name", ["ShopIsSlow", "HighLatency", "Renamed"], ids=["lost", "not named", "no address"])
def test_a_runbook_that_nobody_finds_is_seen(prometheus: Prometheus, name: str) -> None:
    assert alert(prometheus, name, runbook=True)["alert.runbook"].startswith("runbook_url: ")


def test_a_runbook_behind_a_login_is_not_known(prometheus: Prometheus) -> None:
    error = why_blind(prometheus={"url": prometheus.url, "rules": {"FiresNow": {"runbook": True}}})
    assert "answers 403" in error.reason


def test_one_of_two_conditions_that_measures_nothing_is_seen(prometheus: Prometheus) -> None:
    assert "shop_queue_length" in alert(prometheus, "Renamed", can_fire=True)["alert.can_fire"]


def test_an_alert_that_is_not_loaded_fails_in_all_that_is_expected_of_it(prometheus: Prometheus) -> None:
    expected = {**ALERT, "ratio": True, "threshold": 1, "firing": False}
    seen = alert(prometheus, "Degradation", **expected)
    assert {check.partition(".")[2] for check, why in seen.items() if why} == set(expected)
    assert all("there are: AbsentHere, AbsentThere" in why for why in seen.values())


def test_alerts_of_one_name_are_judged_each(prometheus: Prometheus) -> None:
    expected = {"exists": True, "healthy": True, "threshold": 5, "labels": {"severity": "critical"}, "firing": False}
    assert not any(alert(prometheus, "Twice", **expected).values())
    seen = alert(prometheus, "Twice", can_fire=True, held_for="5m")
    assert "nothing is measured by shop_queue_length" in seen["alert.can_fire"]
    assert "the one of 2 in group traps with shop_queue_length > 5" in seen["alert.held_for"]


def test_one_of_several_alerts_of_one_name_is_picked_by_its_labels(prometheus: Prometheus) -> None:
    queue = {"alert": "Twice", "with_labels": {"severity": "critical", "team": "queue"}}
    seen = alert(prometheus, "too many wait", **queue, exists=True, held_for="1h", can_fire=True)
    assert {check for check, why in seen.items() if why} == {"alert.can_fire"}
    seen = alert(prometheus, "Twice", with_labels={"team": "nobody"}, exists=True, held_for="1h")
    assert all("there is no alert Twice with team=nobody" in why for why in seen.values())


def test_an_alert_that_is_not_loaded_is_one_reason(prometheus: Prometheus, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write(
        "inventory.yml",
        f"""\
        project: shop
        monitoring:
          main:
            prometheus:
              url: {prometheus.url}
              rules:
                Lost: {{healthy: true, can_fire: true, threshold: 1, held_for: 5m, runbook: true, firing: false}}
                HighErrorRate: {{ratio: true}}
    """,
    )
    ended = project.readygate("run")
    assert ended.code == 1, ended.stderr
    assert ended.stdout.count("there is no alert Lost") == 1
    assert "6 checks, the first is alert.can_fire @ main:Lost" in ended.stdout
    lost = [each for each in ended.run["results"] if "Lost" in each["path"]]
    assert {each["outcome"] for each in lost} == {"failed"}
    assert {each["mend"] for each in lost} == {
        "name its file under `rule_files` and reload, or correct the name in the inventory"
    }


def test_an_alert_that_can_not_be_evaluated_is_seen(prometheus: Prometheus) -> None:
    assert "multiple matches" in alert(prometheus, "Clashes", healthy=True)["alert.healthy"]


def test_an_alert_of_other_numbers_and_labels_is_seen(prometheus: Prometheus) -> None:
    expected = {"threshold": 0.1, "held_for": "1m", "labels": {"severity": "warning"}}
    assert failing(prometheus={"url": prometheus.url, "rules": {"ErrorsAreMany": expected}}) == set(expected)


def test_an_alert_that_fires_is_seen(prometheus: Prometheus) -> None:
    assert alert(prometheus, "FiresNow", firing=False)["alert.firing"]


def test_an_alert_that_can_not_be_evaluated_is_not_quiet(prometheus: Prometheus) -> None:
    error = why_blind(prometheus={"url": prometheus.url, "rules": {"Clashes": {"firing": False}}})
    assert "multiple matches" in error.reason


def test_an_expression_that_is_none_is_an_error(prometheus: Prometheus) -> None:
    error = why_blind(prometheus={"url": prometheus.url, "queries": {"sum(": "<1"}})
    assert "can't evaluate 'sum('" in error.reason


@pytest.mark.parametrize(("expression", "said"), [("up", "gives 2 numbers"), ("0 / 0", "is no number")])
def test_what_is_not_one_number_is_an_error(prometheus: Prometheus, expression: str, said: str) -> None:
    assert said in why_blind(prometheus={"url": prometheus.url, "queries": {expression: "<1"}}).reason


def test_targets_that_are_down_and_a_broken_configuration_are_seen(tmp_path: Path) -> None:
    config = CONFIG.replace("SHOP", str(free_port())).replace("ALERTS", "1")
    with new_prometheus(tmp_path / "lone", config, "groups: []") as server:
        until(lambda: server.ask('up{job="shop"} == 0'))
        wanted = {"up": {"shop": 1}, "down": 0, "config_loaded": True}
        seen = reasons(prometheus={"url": server.url, **wanted})
        assert "connection refused" in seen["prometheus.up"]
        assert "shop 127.0.0.1" in seen["prometheus.down"]
        assert seen["prometheus.config_loaded"] == ""
        server.config.write_text("scrape_configs: nonsense")
        server.reload()
        assert failing(prometheus={"url": server.url, "config_loaded": True}) == {"config_loaded"}


FIRING = "groups: [{name: watch, rules: [{alert: Watchdog, expr: vector(1)}]}]"
SELF = "scrape_configs: [{job_name: prometheus, static_configs: [{targets: [SELF]}]}]"


def sending_to(*targets: str, scrape: str = "") -> str:
    return f"""\
global: {{scrape_interval: 200ms, evaluation_interval: 200ms}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: {json.dumps(targets)}}}]}}]}}
{scrape}
"""


@pytest.mark.parametrize("on", [None, "mon-1"], ids=["from here", "from a server"])
@pytest.mark.parametrize("rules", [FIRING, "groups: []"], ids=["an alert fires", "all is quiet"])
def test_alerts_do_not_get_through_to_an_alertmanager_that_is_dead(
    tmp_path: Path, rules: str, on: str | None
) -> None:
    with new_prometheus(tmp_path / "lone", sending_to(f"127.0.0.1:{free_port()}"), rules) as server:
        until(lambda: active_alertmanagers(server))
        seen = reasons(on, prometheus={"url": server.url, "alertmanagers": 1})
        assert "refuses the connection" in seen["prometheus.alertmanagers"]
        assert "/dev/tcp" not in seen["prometheus.alertmanagers"]


def test_alerts_that_could_not_be_delivered_are_seen_where_prometheus_measures_itself(tmp_path: Path) -> None:
    with web({"/-/ready": "the page of somebody else"}) as other:
        config = sending_to(f"127.0.0.1:{other.port}", scrape=SELF)
        with new_prometheus(tmp_path / "lone", config, FIRING, "--rules.alert.resend-delay=1s") as server:
            until(lambda: server.ask("increase(prometheus_notifications_errors_total[5m]) > 0"))
            seen = reasons(prometheus={"url": server.url, "alertmanagers": 1})
            assert "failed to deliver" in seen["prometheus.alertmanagers"]


def test_an_alertmanager_counts_by_its_own_answer_where_nothing_is_sent(tmp_path: Path, alertmanager: str) -> None:
    with new_prometheus(tmp_path / "lone", sending_to(alertmanager.removeprefix("http://")), "groups: []") as server:
        until(lambda: active_alertmanagers(server))
        assert failing(prometheus={"url": server.url, "alertmanagers": 1}) == set()
        assert failing(prometheus={"url": server.url, "alertmanagers": 2}) == {"alertmanagers"}


def test_whether_alerts_get_through_to_where_one_can_not_look_is_not_known(tmp_path: Path) -> None:
    with new_prometheus(tmp_path / "lone", sending_to("alertmanager.invalid:9093"), FIRING) as server:
        until(lambda: active_alertmanagers(server))
        error = why_blind(prometheus={"url": server.url, "alertmanagers": 1})
        assert "alertmanager.invalid does not resolve" in error.reason


def active_alertmanagers(server: Prometheus) -> list[Any]:
    with urllib.request.urlopen(f"{server.url}/api/v1/alertmanagers", timeout=5) as answer:
        return json.load(answer)["data"]["activeAlertmanagers"]


def test_a_part_of_an_answer_is_no_answer(tmp_path: Path) -> None:
    remote = f'remote_read: [{{url: "http://127.0.0.1:{free_port()}/read", read_recent: true}}]'
    rules = FIRING.replace("vector(1)", "up > 5")
    with new_prometheus(tmp_path / "lone", sending_to("127.0.0.1:1", scrape=f"{SELF}\n{remote}"), rules) as server:
        until(lambda: "Watchdog" in str(rules_of(server)))
        for wanted in (
            {"series": {"up": 1}},
            {"queries": {"vector(1) or up": 1}},
            {"rules": {"Watchdog": {"can_fire": True}}},
        ):
            error = why_blind(prometheus={"url": server.url, **wanted})
            assert "warning" in error.reason
            assert "remote" in error.reason


def test_what_prometheus_remarks_upon_is_kept_as_evidence() -> None:
    """Prometheus 3 does so; nobody packages it here, so what stands in for it answers as it does."""
    said = 'PromQL info: metric might not be a counter, name does not end in _total: "shop_errors"'
    answer = {"status": "success", "data": {"resultType": "vector", "result": []}, "infos": [said]}
    heard: list[Any] = []
    hearing = EVIDENCE.set(lambda *command: heard.append(command))
    try:
        with web({"/api/v1/query": answer}) as server:
            reasons(prometheus={"url": server.url, "series": {"shop_errors": 1}})
    finally:
        EVIDENCE.reset(hearing)
    assert said in str(heard)


@pytest.mark.parametrize("part", ["prometheus", "alertmanager", "loki"])
def test_one_that_is_not_ready_is_seen(part: str) -> None:
    with web({"/-/ready": 503, "/ready": 503}) as server:
        assert failing(**{part: {"url": server.url, "ready": True}}) == {"ready"}


@pytest.mark.parametrize("on", [None, "mon-1"], ids=["from here", "from a server"])
def test_where_nobody_answers_nothing_is_known(on: str | None) -> None:
    error = why_blind(on, prometheus={"url": f"http://127.0.0.1:{free_port()}", "down": 0})
    assert "refuse" in error.reason.lower()


@pytest.mark.parametrize(
    ("expression", "conditions"),
    [
        ("a > 1", [("a", ">", "1")]),
        ("(a + b) >= 2.5", [("a + b", ">=", "2.5")]),
        ('rate(x{p=~"a>b"}[5m]) > bool 0.05', [('rate(x{p=~"a>b"}[5m])', ">", "0.05")]),
        ("a > 1 and on (job) b < 2", [("a", ">", "1"), ("b", "<", "2")]),
        ("(a > 1) or (b > 2)", [("a", ">", "1"), ("b", ">", "2")]),
        ("a == 0 unless b", [("a", "==", "0")]),
        ("a > 1 unless on (x) b > 2 and on (y) c > 3 or d", [("a", ">", "1"), ("c", ">", "3"), ("d", "", "")]),
        ("sum(a) by (x) # > 3\n > 4", [("sum(a) by (x) # > 3", ">", "4")]),
        ("a > on (job) group_left () b", [("a", ">", "b")]),
        ('absent(up{job="x"})', [('absent(up{job="x"})', "", "")]),
        ("avg_over_time((a > 5)[5m:]) > 6", [("avg_over_time((a > 5)[5m:])", ">", "6")]),
    ],
)
def test_an_expression_is_taken_apart(expression: str, conditions: list[tuple[str, str, str]]) -> None:
    assert [(each.measured, each.sign, each.limit) for each in conditions_of(expression)] == conditions


@pytest.mark.parametrize(
    ("expression", "without_conditions"),
    [
        ("a > on(job) b", "a > bool on ( job ) b"),
        ("count(up==0) > 2", "count ( up == bool 0 ) > bool 2"),
        ("a > BOOL 1e-3", "a > BOOL 1e-3"),
        ("a UNLESS ignoring (x) b + c > 1 and d", "a and d"),
        ("f((a unless b), .5) # > 2\n < 3", "f (( a ), .5 ) < bool 3"),
        ("sum by (unless, and) (a) > 1", "sum by ( unless , and )( a ) > bool 1"),
        ('a{p=~"x>y unless z"}[5m] != 1', 'a {p=~"x>y unless z"}[5m] != bool 1'),
        ('absent(a{x="y"}[5m])', 'absent ( a {x="y", __readygate_never__=~".+"}[5m])'),
        ("absent(a) or absent(sum(b{c='d'}))", "vector(1) or vector(1)"),
    ],
)
def test_conditions_are_taken_out_of_an_expression(expression: str, without_conditions: str) -> None:
    assert " ".join(possible(expression).split()) == without_conditions


@pytest.mark.parametrize(
    ("expression", "is_ratio"),
    [
        ("sum(rate(e[5m])) / sum(rate(r[5m])) > 0.05", True),
        ("(sum(e) / sum(r)) * 100 > 5", False),
        ("sum(rate(e[5m])) / 60 > 1", False),
        ("sum(rate(e[5m])) > 0.05", False),
        ('rate(e{path="/a/b"}[5m]) > 0.05', False),
    ],
)
def test_a_share_is_told_from_a_rate(expression: str, is_ratio: bool) -> None:
    assert any(each.is_ratio for each in conditions_of(expression)) == is_ratio


@pytest.mark.parametrize(
    ("told", "seconds"),
    [("15d", 15 * 86400), ("30d or 10GiB", 30 * 86400), ("1h30m", 5400), ("10GiB", None)],
)
def test_retention_is_read_as_prometheus_tells_it(told: str, seconds: float | None) -> None:
    assert retention_of(told) == seconds


# Alertmanager

ALERTMANAGER = """\
route:
  receiver: chat
  group_wait: 0s
  group_interval: 1s
  routes:
    - matchers: ['severity="critical"', 'team=~"shop|pay"']
      receiver: pager
      continue: true
    - matchers: ['severity=~"critical|warning"']
      receiver: mail
      routes:
        - {match: {quiet: "yes"}, receiver: nobody}
    - {match_re: {job: "node.*"}, receiver: nobody}
    - {matchers: ['host=~"web\\.shop"'], receiver: mail}
receivers:
  - {name: chat, webhook_configs: [{url: "http://127.0.0.1:HOOK/", send_resolved: false}]}
  - {name: pager, webhook_configs: [{url: "http://127.0.0.1:HOOK/"}]}
  - {name: mail, webhook_configs: [{url: "http://127.0.0.1:HOOK/"}]}
  - {name: nobody}
"""
HOOK = free_port()


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    config = ALERTMANAGER.replace("HOOK", str(HOOK))
    with new_alertmanager(tmp_path_factory.mktemp("alertmanager"), config) as url:
        yield url


@pytest.mark.parametrize("on", [None, "mon-1"], ids=["from here", "from a server"])
def test_a_sound_alertmanager_holds_all_that_is_declared(alertmanager: str, on: str | None) -> None:
    wanted = {
        "ready": True,
        "version": ">=0.24",
        "receivers": ["chat", "pager", "mail"],
        "routes": {"severity=critical,team=shop": ["mail", "pager"], "severity=info": ["chat"]},
        "silences": 0,
    }
    assert failing(on, alertmanager={"url": alertmanager, **wanted}) == set()


def test_an_alertmanager_that_is_otherwise_fails(alertmanager: str) -> None:
    wanted = {
        "version": ">=99",
        "receivers": {"contains": ["nobody"]},
        "routes": {"severity=critical": ["pager"]},
    }
    assert failing(alertmanager={"url": alertmanager, **wanted}) == set(wanted)


def test_a_silence_that_nobody_ended_is_seen(alertmanager: str) -> None:
    until_when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    silence = {
        "matchers": [{"name": "alertname", "value": "X", "isRegex": False}],
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": until_when,
        "createdBy": "maya",
        "comment": "moving house",
    }
    asked = urllib.request.Request(
        f"{alertmanager}/api/v2/silences", json.dumps(silence).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=5) as answer:
        number = json.load(answer)["silenceID"]
    try:
        seen = reasons(alertmanager={"url": alertmanager, "silences": 0})
        assert "'moving house' by maya" in seen["alertmanager.silences"]
    finally:
        gone = urllib.request.Request(f"{alertmanager}/api/v2/silence/{number}", method="DELETE")
        urllib.request.urlopen(gone, timeout=5).close()


@pytest.mark.parametrize(
    "labels",
    [
        "severity=critical,team=shop",
        "severity=critical,team=ops",
        "severity=warning",
        "severity=warning,quiet=yes",
        "severity=info",
        "job=node-exporter",
        "host=web.shop",
        "host=webxshop",
        "severity=critical,team=pay,quiet=yes,job=node",
    ],
)
def test_routes_are_followed_as_amtool_follows_them(alertmanager: str, tmp_path: Path, labels: str) -> None:
    config = tmp_path / "alertmanager.yml"
    config.write_text(ALERTMANAGER.replace("HOOK", str(HOOK)))
    told = subprocess.run(
        [needed("amtool", "prometheus-alertmanager"), "config", "routes", "test", f"--config.file={config}",
         *labels.split(",")],
        capture_output=True, text=True, check=True, env={**os.environ, "HOME": str(tmp_path)},
    ).stdout  # fmt: skip
    assert (
        failing(alertmanager={"url": alertmanager, "routes": {labels: sorted(set(told.strip().split(",")))}}) == set()
    )


def test_several_matchers_in_braces_are_read() -> None:
    route = {"receiver": "a", "routes": [{"receiver": "b", "matchers": ['{x="1,2", y!~"z.*", w!=v}']}]}
    state = AlertmanagerState("0.25", {"route": route}, ())
    assert state.receivers_of(labels_of("x=1")) == {"a"}
    assert state.receivers_of({"x": "1,2", "y": "no"}) == {"b"}
    assert state.receivers_of({"x": "1,2", "y": "zoo"}) == {"a"}
    assert state.receivers_of({"x": "1,2", "w": "v"}) == {"a"}


def delivery(alertmanager: str, **given: Any) -> dict[str, Any]:
    declared = {"allow": alertmanager, "listen": f"127.0.0.1:{HOOK}", "labels": {"severity": "info"}, "within": "20s"}
    return {"url": alertmanager, "delivery": {**declared, **given}}


def test_an_alert_that_is_sent_really_arrives(alertmanager: str) -> None:
    assert failing(alertmanager=delivery(alertmanager)) == set()


def test_an_alert_that_goes_to_nobody_does_not_arrive(alertmanager: str) -> None:
    labels = {"severity": "warning", "quiet": "yes"}
    seen = reasons(alertmanager=delivery(alertmanager, labels=labels, patience="2s"))
    assert "had not arrived after 2 s" in seen["delivery.within"]


def test_one_can_not_listen_where_somebody_does(alertmanager: str) -> None:
    taken = alertmanager.removeprefix("http://")
    assert "can't listen" in why_blind(alertmanager=delivery(alertmanager, listen=taken)).reason


# Grafana and Loki: nobody packages them, so what stands in for them answers as they do.

SECRET = "glsa_3vZkTq81xx"


def logged_in(handler: Any) -> bool:
    return handler.headers.get("Authorization") == f"Bearer {SECRET}"


def guarded(body: Any) -> Any:
    return lambda handler: body if logged_in(handler) else (401, {"message": "Unauthorized"})


def grafana_of(password: str, *, anonymous: bool) -> dict[str, Any]:
    """Paths and shapes as in Grafana 10's HTTP API."""
    right = f"Basic {base64.b64encode(f'admin:{password}'.encode()).decode()}"

    wrong = {"message": "Invalid username or password", "messageId": "password-auth.failed", "statusCode": 401}

    def user(handler: Any) -> Any:
        return {"login": "admin"} if handler.headers.get("Authorization") == right else (401, wrong)

    boards = [{"uid": "a", "title": "FastAPI", "type": "dash-db"}, {"uid": "b", "title": "Hosts", "type": "dash-db"}]
    return {
        "/api/health": {"database": "ok", "version": "10.4.2", "commit": "701c851be7"},
        "/api/user": user,
        "/api/search": boards if anonymous else guarded(boards),
        "/api/datasources": guarded([{"uid": "p", "name": "Prometheus"}, {"uid": "l", "name": "Loki"}]),
        "/api/datasources/uid/p/health": guarded({"status": "OK", "message": "Successfully queried"}),
        "/api/datasources/uid/l/health": guarded((400, {"status": "ERROR", "message": "Unable to connect"})),
    }


TOKEN = {"Authorization": f"Bearer {SECRET}"}


def test_a_sound_grafana_holds_all_that_is_declared() -> None:
    wanted = {
        "healthy": True,
        "version": ">=10",
        "default_password_refused": True,
        "login_required": True,
        "dashboards": {"contains": ["FastAPI"]},
        "datasources": {"Prometheus": True},
    }
    with web(grafana_of("long-and-own", anonymous=False)) as server:
        assert failing(grafana={"url": server.url, "headers": TOKEN, **wanted}) == set()


def test_a_careless_grafana_fails_by_each_of_its_faults() -> None:
    wanted = {
        "healthy": True,
        "version": ">=10",
        "default_password_refused": True,
        "login_required": True,
        "dashboards": {"contains": ["Shop"]},
        "datasources": {"Loki": True, "Tempo": True},
    }
    pages = grafana_of("admin", anonymous=True)
    pages["/api/health"] = (503, {"database": "failing", "version": "9.0.0"})
    with web(pages) as server:
        assert failing(grafana={"url": server.url, "headers": TOKEN, **wanted}) == set(wanted)


def test_without_a_token_dashboards_are_an_error() -> None:
    with web(grafana_of("long-and-own", anonymous=False)) as server:
        assert "401" in why_blind(grafana={"url": server.url, "dashboards": ["FastAPI"]}).reason


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (404, "404"),
        (200, "200"),
        (403, "403"),
        ((401, "<html>401 Authorization Required</html>"), "not Grafana's"),
        ((401, {"message": "Unauthorized"}), "not Grafana's"),  # as where [auth.basic] is off
        ((401, {"message": "Invalid username or password", "messageId": "login-attempt.blocked"}), "locked"),
    ],
    ids=str,
)
def test_a_page_of_somebody_else_proves_nothing_about_the_password(page: Any, said: str) -> None:
    with web({"/api/user": page}) as server:
        assert said in why_blind(grafana={"url": server.url, "default_password_refused": True}).reason


@pytest.mark.parametrize("told", [{}, {"messageId": "basic-auth.invalid-credentials"}], ids=["9", "9.4"])
def test_older_versions_of_grafana_refuse_in_their_own_words(told: dict[str, str]) -> None:
    with web({"/api/user": (401, {"message": "invalid username or password", **told})}) as server:
        assert failing(grafana={"url": server.url, "default_password_refused": True}) == set()


def lines_of(ages: dict[str, float]) -> Any:
    """As Loki 2.9 answers /loki/api/v1/query_range with limit=1 and direction=backward."""

    def answer(handler: Any) -> Any:
        selector = parse_qs(urlsplit(handler.path).query)["query"][0]
        service = next((each for each in ages if each in selector), None)
        values = [] if service is None else [[f"{int((time.time() - ages[service]) * 1e9)}", "a line"]]
        result = [{"stream": {"service": service}, "values": values}] if values else []
        return {"status": "success", "data": {"resultType": "streams", "result": result}}

    return answer


@pytest.mark.parametrize(("service", "holds"), [("api", True), ("worker", False), ("lost", False)])
def test_logs_are_as_fresh_as_their_newest_line(service: str, holds: bool) -> None:
    pages = {"/ready": "ready", "/loki/api/v1/query_range": lines_of({"api": 20, "worker": 7200})}
    with web(pages) as server:
        wanted = {"ready": True, "fresh": {f'{{service="{service}"}}': "5m"}}
        assert failing(loki={"url": server.url, **wanted}) == (set() if holds else {"fresh"})


# What may be declared


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"prometheus": {"url": "http://u:p@h", "down": 0}}, "must not hold a user"),
        ({"prometheus": {"url": "http://h"}}, "declares nothing to verify"),
        ({"prometheus": {"url": "http://h", "rules": {"A": {}}}}, "declares nothing to verify"),
        ({"on": "m", "prometheus": {"url": "https://h", "down": 0}}, "only http:// is asked"),
        ({"on": "m", "grafana": {"url": "http://h", "headers": {"A": "bcde"}, "healthy": True}}, "process list"),
        ({"loki": {"url": "http://h", "fresh": {"service": "5m"}}}, "selects no streams"),
        ({"alertmanager": {"url": "http://h", "routes": {"critical": ["a"]}}}, "are no labels"),
        ({"alertmanager": delivery("http://h", allow="http://other")}, "not this Alertmanager"),
        ({"alertmanager": delivery("http://h", listen="9987")}, "no address to listen on"),
    ],
)
def test_what_can_not_be_asked_is_refused_when_it_is_read(declared: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Monitoring.model_validate(declared)
    assert said in str(caught.value)


def test_the_gate_tells_of_a_mute_alert_and_shows_no_token(prometheus: Prometheus, tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write(
        "inventory.yml",
        f"""\
        project: shop
        monitoring:
          main:
            prometheus:
              url: {prometheus.url}
              headers: {{Authorization: "Bearer ${{GRAFANA_TOKEN}}"}}
              down: 0
              rules:
                HighLatency: {{exists: true, can_fire: true}}
                HighErrorRate: {{ratio: true}}
    """,
    )
    ended = project.readygate("run", GRAFANA_TOKEN=SECRET)
    assert ended.code == 1, ended.stderr
    assert "can never fire" in ended.result("alert.can_fire")["message"]
    assert ended.result("alert.ratio")["outcome"] == "failed"
    assert ended.result("prometheus.down")["outcome"] == "passed"
    assert SECRET not in ended.everything_written()
