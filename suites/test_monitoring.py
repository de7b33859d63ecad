"""What must hold of that which watches over production: Prometheus, Alertmanager, Grafana and Loki."""

import pytest


@pytest.mark.check("prometheus.ready", severity="blocker")
def test_prometheus_is_ready(prometheus, prometheus_ready):
    """While it is not, nobody sees anything, and no alert fires.

    Mend: read its log; after a crash it replays its journal first, which takes minutes.
    """
    assert prometheus_ready in prometheus.ready


@pytest.mark.check("prometheus.version")
def test_prometheus_has_the_declared_version(prometheus, prometheus_state):
    """Rules and dashboards are written for what a version can do.

    Mend: upgrade it, or declare this one.
    """
    assert prometheus_state.version in prometheus.version


@pytest.mark.check("prometheus.config_loaded", severity="blocker")
def test_prometheus_runs_by_its_newest_configuration(prometheus, prometheus_state):
    """A configuration that doesn't load changes nothing, and the alert that was added last week is not there.

    Mend: run `promtool check config`, mend what it says, and reload.
    """
    assert prometheus_state.config_loaded in prometheus.config_loaded


@pytest.mark.check("prometheus.up", severity="blocker")
def test_targets_of_the_job_are_up(prometheus, prometheus_state, key, expected):
    """What is not measured has no alerts, and its graphs end where the trouble begins.

    Mend: see the target's last error on the page /targets.
    """
    down = [each for each in prometheus_state.down if each.startswith(f"{key} ")]
    assert prometheus_state.up(key) in expected, f"{key}: {prometheus_state.up(key)} up; {'; '.join(down)}"


@pytest.mark.check("prometheus.down")
def test_no_target_is_down(prometheus, prometheus_state):
    """A target that has been down for long is one that nobody misses, or nobody watches.

    Mend: bring it back, or take it out of the configuration.
    """
    assert len(prometheus_state.down) in prometheus.down, f"down: {'; '.join(prometheus_state.down)}"


@pytest.mark.check("prometheus.scrape_interval")
def test_targets_are_asked_often_enough(prometheus, prometheus_state):
    """A peak that is shorter than the interval was never there, and a rate over few samples is a guess.

    Mend: set scrape_interval, in the job if it has one of its own.
    """
    assert prometheus_state.scrape_interval_s in prometheus.scrape_interval


@pytest.mark.check("prometheus.retention")
def test_samples_are_kept_for_as_long_as_declared(prometheus, prometheus_state):
    """The incident of three weeks ago can't be explained from two weeks of samples.

    Mend: start it with --storage.tsdb.retention.time, and see that the disk has room.
    """
    assert prometheus_state.retention_s in prometheus.retention


@pytest.mark.check("prometheus.alertmanagers", severity="blocker")
def test_alerts_of_prometheus_get_through(prometheus, alerting):
    """An alert that is sent to nobody, or to one that is dead, fires in silence.

    Mend: name the Alertmanager under `alerting` in prometheus.yml and reload; see that it runs, and what
    prometheus_notifications_errors_total counts.
    """
    assert alerting.reached in prometheus.alertmanagers, alerting.reason


@pytest.mark.check("prometheus.series")
def test_series_are_there(expected, series_count):
    """A dashboard over a metric that was renamed is empty, and an alert over it is silent.

    Mend: see what the target really exports, and correct the name.
    """
    assert series_count in expected


@pytest.mark.check("prometheus.queries", severity="blocker")
def test_query_gives_the_declared_number(expected, query_number):
    """This number says how customers fare at this moment; without a sample nobody knows.

    Mend: look at the graph of the expression, and at what changed when it left its limits.
    """
    assert query_number in expected


@pytest.mark.check("alert.exists", severity="blocker")
def test_alert_is_loaded(alert, actual_alerts):
    """An alert in a file that Prometheus never read wakes nobody.

    Mend: name its file under `rule_files`, and reload.
    """
    assert actual_alerts.exists in alert.exists, actual_alerts.fault


@pytest.mark.check("alert.healthy", severity="blocker")
def test_alert_can_be_evaluated(alert, actual_alerts):
    """An alert whose expression fails never fires.

    Mend: try the expression by hand; often labels match many to many.
    """
    for each in actual_alerts.there:
        assert each.healthy in alert.healthy, each.fault


@pytest.mark.check("alert.can_fire", severity="blocker")
def test_alert_measures_something(alert, measured):
    """An alert over what does not exist is shown as healthy, and never fires, whatever happens.

    Mend: try each side of its comparison by hand; a classic histogram needs rate() and _bucket.
    """
    for each in measured.there:
        assert each.can_fire in alert.can_fire, each.reason


@pytest.mark.check("alert.ratio")
def test_alert_compares_a_share(alert, actual_alerts):
    """A rate that is taken for a share fires by night at one error in a thousand, or never in a small shop.

    Mend: divide the rate of errors by the rate of all requests.
    """
    for each in actual_alerts.there:
        assert each.is_ratio in alert.ratio, f"it compares no share: {each.expression}"


@pytest.mark.check("alert.threshold")
def test_alert_has_the_declared_threshold(alert, actual_alerts):
    """Whoever reads the runbook trusts a number that the rule has long lost.

    Mend: correct the rule, or the number that was declared.
    """
    for each in actual_alerts.there:
        assert each.threshold in alert.threshold, each.which


@pytest.mark.check("alert.held_for")
def test_alert_does_not_wait_too_long(alert, actual_alerts):
    """So long customers suffer before anybody is woken.

    Mend: make `for` of the rule shorter.
    """
    for each in actual_alerts.there:
        assert each.held_for_s in alert.held_for, each.which


@pytest.mark.check("alert.labels")
def test_alert_carries_the_declared_label(actual_alerts, key, expected):
    """By its labels an alert is routed: without severity it goes to the channel that nobody reads at night.

    Mend: add the label to the rule.
    """
    for each in actual_alerts.there:
        assert each.labels.get(key) in expected, each.which


@pytest.mark.check("alert.runbook")
def test_alert_leads_to_its_runbook(alert, actual_alerts, runbooks):
    """Whoever is woken at three has nobody to ask, and a link that leads nowhere.

    Mend: write the page, and its address as the annotation runbook_url of the rule.
    """
    for each in actual_alerts.there:
        assert runbooks[each.runbook_url] in alert.runbook, f"runbook_url: {each.runbook_url or 'none'}"


@pytest.mark.check("alert.firing", severity="blocker")
def test_alert_does_not_fire(alert, actual_alerts):
    """Whoever releases into an alert that fires can't tell the new trouble from the old.

    Mend: mend what it tells of before the release.
    """
    for each in actual_alerts.there:
        assert each.fires in alert.firing, each.which


@pytest.mark.check("alertmanager.ready", severity="blocker")
def test_alertmanager_is_ready(alertmanager, alertmanager_ready):
    """While it is not, alerts fire and nobody hears them.

    Mend: read its log.
    """
    assert alertmanager_ready in alertmanager.ready


@pytest.mark.check("alertmanager.version")
def test_alertmanager_has_the_declared_version(alertmanager, alertmanager_state):
    """Receivers and matchers are written for what a version can do.

    Mend: upgrade it, or declare this one.
    """
    assert alertmanager_state.version in alertmanager.version


@pytest.mark.check("alertmanager.receivers", severity="blocker")
def test_receivers_have_somebody_to_tell(alertmanager, alertmanager_state):
    """A receiver without an integration takes every alert, and tells nobody.

    Mend: give it a webhook, a mail address or a pager in alertmanager.yml.
    """
    assert alertmanager_state.speaking in alertmanager.receivers


@pytest.mark.check("alertmanager.routes", severity="blocker")
def test_alert_is_routed_to_the_declared_receivers(key, expected, told):
    """A critical alert that falls through to the default, or to a route that is mute, waits until the morning.

    Mend: see the matchers, the order of `routes` and their intervals, and try `amtool config routes test`.
    """
    heard = ", ".join(sorted(told.receivers)) or "nobody"
    assert told.receivers in expected, f"{key} reaches {heard}{told.quiet and f'; {told.quiet}'}"


@pytest.mark.check("alertmanager.silences")
def test_few_alerts_are_silenced(alertmanager, alertmanager_state):
    """A silence from the last maintenance hides the next outage.

    Mend: expire it.
    """
    silenced = alertmanager_state.silences
    assert len(silenced) in alertmanager.silences, f"silenced: {'; '.join(silenced)}"


@pytest.mark.live
@pytest.mark.timeout(0)  # it ends by its own `patience`
@pytest.mark.check("delivery.within", severity="blocker")
def test_alert_really_arrives(delivery, delivered):
    """Every part may be green, and the message still not come: this is the only proof that somebody is woken.

    Mend: read Alertmanager's log for why it can't notify, and see group_wait and the firewall.
    """
    assert delivered.after_s in delivery.within, delivered.reason


@pytest.mark.check("grafana.healthy")
def test_grafana_is_healthy(grafana, grafana_health):
    """It is the first thing that everybody opens at night.

    Mend: read its log, and see its database.
    """
    assert grafana_health.healthy in grafana.healthy


@pytest.mark.check("grafana.version")
def test_grafana_has_the_declared_version(grafana, grafana_health):
    """Old versions let strangers read files, and everybody has the exploit.

    Mend: upgrade it.
    """
    assert grafana_health.version in grafana.version


@pytest.mark.check("grafana.default_password_refused", severity="blocker")
def test_default_password_of_grafana_is_refused(grafana, default_password_refused):
    """With admin/admin anybody queries every data source, with the passwords that Grafana keeps.

    Mend: run `grafana-cli admin reset-admin-password`.
    """
    assert default_password_refused in grafana.default_password_refused


@pytest.mark.check("grafana.login_required", severity="blocker")
def test_strangers_see_nothing_in_grafana(grafana, login_required):
    """Dashboards tell names of hosts, traffic and turnover to whoever finds the URL.

    Mend: set `enabled = false` under [auth.anonymous].
    """
    assert login_required in grafana.login_required


@pytest.mark.check("grafana.dashboards")
def test_dashboards_are_there(grafana, dashboards):
    """A dashboard that was only in the old volume is missed when it is needed.

    Mend: provision it from a file.
    """
    assert dashboards in grafana.dashboards


@pytest.mark.check("grafana.datasources")
def test_data_source_works(key, expected, datasource_works):
    """With a data source that is broken every panel says "no data", which looks like peace.

    Mend: press "Save & test" on it, and see its URL and its login.
    """
    assert datasource_works in expected, f"the data source {key} is not there, or its health check fails"


@pytest.mark.check("loki.ready")
def test_loki_is_ready(loki, loki_ready):
    """While it is not, logs pile up on the servers, or are lost.

    Mend: read its log, and see its storage.
    """
    assert loki_ready in loki.ready


@pytest.mark.check("loki.fresh")
def test_logs_are_fresh(key, expected, newest_line_s):
    """A shipper that died days ago leaves the last days without a line.

    Mend: see promtail, or whatever ships the logs, on the servers of this selector.
    """
    assert newest_line_s in expected
