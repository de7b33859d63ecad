"""The table of traps: where a guide says what isn't so, what production then looks like, and the check that says no.

Each production is built as the guide's own text makes it, and once more as it is mended; both are gated by the lines
of that guide's example, pointed at what was built.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from readygate.inventory.compose import compose
from readygate.inventory.source import to_data
from tests.database_servers import free_port, needed
from tests.monitoring_servers import new_prometheus, until, web
from tests.projects import Ended, Project
from tests.test_area_backups import DUMP, FAILING, NIGHTLY, TWO_STEPS, run_script
from tests.test_area_monitoring import CONFIG, exposition, grafana_of, rules_of
from tests.test_area_offsite import rclone_environ
from tests.test_site_limits import Limiter, by_number, by_second, service
from tests.web import authority, nginx, reply, tls_context, web_server, write_chain

EXAMPLES = Path(__file__).parent.parent / "examples"
HERE = {"connect": "local://"}

# A production, and what it takes to look at it; the flag says whether it is mended.
Production = Callable[[Path, bool], AbstractContextManager[dict[str, Any]]]


@dataclass(frozen=True)
class Trap:
    """One row of the table: the checks that say no, and the production that they say it to."""

    says_no: frozenset[str]
    production: Production


TRAPS: dict[str, Trap] = {}

# These take an engine of containers, or are about numbers alone.
ELSEWHERE = {
    "T4 in the container": "test_area_compose.test_a_backup_container_without_its_variables_is_no_go",
    "T5 prod without its profile": "test_area_compose.test_a_deployment_that_forgot_its_profile_is_no_go",
    "T10 in the crontab": "test_tls_depth.test_t10_a_monthly_renewal_comes_too_late_at_the_worst",
    "R9 ports that docker publishes": (
        "test_firewall_docker.test_a_published_port_is_seen_with_its_container_wherever_it_bypasses_ufw"
    ),
    "R13 images called latest": "test_area_containers.test_only_a_version_or_a_digest_pins_an_image",
}


def trap(name: str, *, says_no: set[str]) -> Callable[[Callable[[Path, bool], Iterator[dict[str, Any]]]], Production]:
    def added(build: Callable[[Path, bool], Iterator[dict[str, Any]]]) -> Production:
        production = contextmanager(build)
        TRAPS[name] = Trap(frozenset(says_no), production)
        return production

    return added


def lines(system: str, *path: str, only: str = "") -> Any:
    """What an example declares there; of a mapping, the keys that `only` names."""
    found = to_data(compose(EXAMPLES / system / "inventory.yml", None).tree)
    for each in path:
        found = found[each]
    return {name: found[name] for name in only.split()} if only else found


HEALTH_CHECK = """\
TIMEOUT=1
RETRY_INTERVAL=1
check_service() {
    local name=$1 url=$2 retries=$((TIMEOUT / RETRY_INTERVAL))
    for i in $(seq 1 $retries); do
        if curl -sf "$url" > /dev/null; then echo "$name is healthy"; return 0; fi
        if [ $i -lt $retries ]; then sleep $RETRY_INTERVAL; fi
    done
    echo "$name health check failed"
    return 1
}
check_service "Gateway" "http://localhost:8080/health"
check_service "Calc Service" "http://localhost:7001/health"
check_service "Risk Engine" "http://localhost:7002/health"
check_service "Doc Service" "http://localhost:7003/health"
check_service "Billing Service" "http://localhost:7004/health"
echo "All services are healthy!"
"""


@trap("T1 a health check that ends well with everything down", says_no={"command.output"})
def health_check(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    needed("curl", "curl")
    with ExitStack() as stack:
        ports = {
            port: stack.enter_context(web_server()) if mended else free_port()
            for port in (8080, 7001, 7002, 7003, 7004)
        }

        def moved(text: str) -> str:
            for meant, port in ports.items():
                text = text.replace(f":{meant}/", f":{port}/")
            return text

        ran = subprocess.run(["bash", "-c", moved(HEALTH_CHECK)], capture_output=True, text=True, check=False)
        assert (ran.returncode, "All services are healthy!" in ran.stdout) == (0, True)
        commands = lines("zakupai", "servers", "app-1", "commands", only="gateway calc risk doc billing")
        asked = {name: {"run": moved(each["run"]), "output": each["output"]} for name, each in commands.items()}
        yield {"servers": {"app-1": {**HERE, "commands": asked}}}


def nightly(folder: Path, system: str, script: str, pg_dump: str, only: str) -> dict[str, Any]:
    """What a night of a guide's script leaves behind, and the lines about it; the script always ends well."""
    folder.mkdir()
    (folder / "made").write_text(DUMP.replace("\\.", f"{os.urandom(20_000).hex()}\n\\.", 1))
    ran = run_script(folder, script, pg_dump=pg_dump.format(folder=folder))
    assert (ran.returncode, "Backup completed" in ran.stdout) == (0, True)
    backup = lines(system, "backups", "db", only=f"on path dated {only}")
    backup["path"] = f"{folder}/{Path(backup['path']).name}"
    return {"servers": {"app-1": {**HERE, "memory": {"available": "1M"}}}, "backups": {"db": backup}}


@trap("T2 a backup of 55 bytes that says completed", says_no={"backup.size", "backup.sound"})
def backup_in_two_steps(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    yield nightly(folder, "zakupai", TWO_STEPS, "cat {folder}/made" if mended else FAILING, "rpo size sound")


@trap("T3 a backup of 20 bytes, for want of pipefail", says_no={"backup.size", "backup.sound"})
def backup_in_a_pipe(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    yield nightly(folder, "zenzefi", NIGHTLY, "cat {folder}/made" if mended else FAILING, "rpo size sound")


UPLOAD = """
RETENTION_DAYS="${BACKUP_RETENTION_DAYS:-14}"
DATE=$(date +%Y%m%d_%H%M%S)
BACKUP_FILE="zakupai_backup_${DATE}.sql"
pg_dump > $BACKUP_DIR/$BACKUP_FILE
gzip $BACKUP_DIR/$BACKUP_FILE
if [ "$RCLONE_CONFIG" ]; then
    rclone copy $BACKUP_DIR/${BACKUP_FILE}.gz $RCLONE_CONFIG:zakupai-backups/$(date +%Y/%m)/
fi
find $BACKUP_DIR -name "*.sql.gz" -mtime +$RETENTION_DAYS -delete
echo "Backup completed: ${BACKUP_FILE}.gz"
"""


@trap(
    "T4 a backup container without the variables of its script",
    says_no={"offsite.rpo", "offsite.same", "retention.reaches"},
)
def backup_container(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    # rclone itself takes RCLONE_CONFIG for the path of its settings: the mended script says where these are.
    needed("rclone", "rclone")
    folder.mkdir()
    (folder / "made").write_text(DUMP)
    (folder / "store" / "zakupai-backups").mkdir(parents=True)
    settings = folder / "rclone.conf"
    settings.write_text(f"[backblaze_prod]\ntype = alias\nremote = {folder}/store\n")
    for days in range(1, 31):
        then = time.time() - days * 86400
        earlier = folder / time.strftime("zakupai_backup_%Y%m%d_%H%M%S.sql.gz", time.localtime(then))
        earlier.write_bytes(b"x" * 2000)
        os.utime(earlier, (then, then))
    given = {"BACKUP_SCHEDULE": "0 1 * * *", "RCLONE_CONFIG_PATH": str(settings)}
    script = UPLOAD
    if mended:
        given |= {"BACKUP_RETENTION_DAYS": "30", "RCLONE_CONFIG": "backblaze_prod"}
        script = script.replace("rclone copy", 'rclone --config "$RCLONE_CONFIG_PATH" copy')
    settled = "\n".join(f"export {name}='{value}'" for name, value in given.items())
    ran = run_script(folder, f"{settled}\n{script}", pg_dump=f"cat {folder}/made")
    assert (ran.returncode, "Backup completed" in ran.stdout) == (0, True)
    backup = lines("zakupai", "backups", "db", only="on path dated retention offsite")
    backup["path"] = f"{folder}/{Path(backup['path']).name}"
    backup["retention"] = {"reaches": backup["retention"]["reaches"]}
    backup["offsite"]["config"] = str(settings)
    yield {"servers": {"app-1": {**HERE, "memory": {"available": "1M"}}}, "backups": {"db": backup}}


ZONE = "limit_req_zone $binary_remote_addr zone=api_limit:10m rate=10r/s;"
LIMIT = "limit_req zone=api_limit burst=20 nodelay; root /nowhere;"


@trap("T6 a rate limit that nginx refuses to load", says_no={"nginx.config", "rate_limit.rate"})
def nginx_that_keeps_its_old_settings(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    (folder / "bin").mkdir(parents=True)
    meant = folder / "meant.conf"
    meant.write_text(f"events {{}} http {{ server {{ listen 127.0.0.1:{free_port()}; {ZONE} {LIMIT} }} }}")
    with nginx(folder, *(LIMIT, "", ZONE) if mended else ("root /nowhere;",)) as port:
        # The files that `nginx -t` judges where they are in /etc are these here.
        judged = folder / "bin" / "nginx"
        real = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        judged.write_text(f'#!/bin/sh\nexec {real} -c {folder / "nginx.conf" if mended else meant} "$@"\n')
        judged.chmod(0o755)
        yield {
            "servers": {"app-1": {**HERE, "nginx": lines("zenzefi", "servers", "app-1", "nginx")}},
            "sites": {
                "api": {
                    "url": f"http://127.0.0.1:{port}",
                    "rate_limit": lines("zenzefi", "sites", "api", "rate_limit"),
                }
            },
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
        }


def limited(name: str, answer: Callable[[Any], None]) -> Iterator[dict[str, Any]]:
    with web_server(answer) as port:
        limits = lines("zenzefi", "sites", "api", "rate_limits", only=name)
        yield {"sites": {"api": {"url": f"http://127.0.0.1:{port}", "rate_limits": limits}}}


@trap("T7 a refusal that becomes 500 in the middleware", says_no={"rate_limit.answers"})
def refusal_as_an_error(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    yield from limited("logins", service(Limiter(5, 3600, by_number()), status=429 if mended else 500))


@trap("T8 twenty logins in one second, which count as one", says_no={"rate_limit.rate"})
def logins_that_count_by_the_second(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    yield from limited("logins", service(Limiter(5, 3600, by_number() if mended else by_second), status=429))


@trap("T9 a limit of 100 a minute, of which there are 60 seconds", says_no={"rate_limit.rate"})
def limit_that_never_fires(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    yield from limited("calls", service(Limiter(100, 60, by_number() if mended else by_second), status=429))


@trap("T10 a certificate that waits for the first of the month", says_no={"tls.renew_before"})
def certificate_renewed_too_late(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    folder.mkdir()
    trusted = authority()
    shown = trusted.issue("api.zenzefi.ru", ends=timedelta(days=75 if mended else 10))
    with web_server(context=tls_context(folder, shown)) as port:
        (folder / "ca").mkdir()
        ca, _ = write_chain(folder / "ca", trusted)
        tls = lines("zenzefi", "sites", "api", "tls", only="trusted matches_host renew_before")
        site = {"url": f"https://api.zenzefi.ru:{port}", "resolve": "127.0.0.1", "tls": {**tls, "ca": str(ca)}}
        yield {"sites": {"api": site}}


@trap("T11 a target of requests a second that nobody reaches", says_no={"load.rate"})
def service_that_takes_its_time(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    one_at_a_time = threading.Lock()

    def answer(request: Any) -> None:
        if not mended:
            with one_at_a_time:
                time.sleep(0.2)
        reply(request)

    with web_server(answer) as port:
        url = f"http://127.0.0.1:{port}"
        plan = lines("zenzefi", "load", "sustained")
        plan |= {"target": url, "arrival": {"rate": "20/s"}, "stages": [{"hold": "2s", "measure": True}]}
        plan["users"] = {"max": 60, "mix": [{"journey": "health", "steps": ["GET /health"]}]}
        plan["thresholds"] = {"rate": ">=15/s", "errors": "10%"}  # a fiftieth of the promise
        yield {"allow_load": [url], "load": {"sustained": plan}}


GUIDES_RULES = {
    "HighErrorRate": 'rate(http_requests_total{status=~"5.."}[5s]) > 0.05',
    "HighLatency": "histogram_quantile(0.95, http_request_duration_seconds) > 1",
}
MENDED_RULES = {
    "HighErrorRate": 'sum(rate(http_requests_total{status=~"5.."}[5s])) / sum(rate(http_requests_total[5s])) > 0.05',
    "HighLatency": "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5s]))) > 1",
}


def alerting(folder: Path, name: str, expression: str) -> Iterator[dict[str, Any]]:
    with web({"/metrics": exposition, "/runbook": "Look at the graph."}) as shop:
        runbook = {"runbook_url": f"http://127.0.0.1:{shop.port}/runbook"}
        rule = {"alert": name, "expr": expression, "for": "5m", "annotations": runbook}
        rules = {"groups": [{"name": "product-service", "rules": [rule]}]}
        config = CONFIG.replace("SHOP", str(shop.port)).replace("ALERTS", str(free_port()))
        with new_prometheus(folder, config, json.dumps(rules)) as server:
            until(lambda: server.ask('sum(rate(http_requests_total{status="500"}[5s])) > 0'))
            until(lambda: server.ask("rate(http_request_duration_seconds_bucket[5s])"))
            until(lambda: all(rule["health"] == "ok" for rule in rules_of(server)))
            declared = lines("potter", "monitoring", "production", "prometheus", "rules", only=name)
            yield {"monitoring": {"production": {"prometheus": {"url": server.url, "rules": declared}}}}


@trap("T12 an alert that can never fire", says_no={"alert.can_fire"})
def alert_over_nothing(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    yield from alerting(folder, "HighLatency", (MENDED_RULES if mended else GUIDES_RULES)["HighLatency"])


@trap("T13 an alert at 5 %, which is 0.05 a second", says_no={"alert.ratio"})
def alert_over_a_rate(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    yield from alerting(folder, "HighErrorRate", (MENDED_RULES if mended else GUIDES_RULES)["HighErrorRate"])


@trap("R1 probes of a name that still leads to the old stack", says_no={"http.json"})
def the_stack_before(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    body = json.dumps({"status": "ok", "version": "1.0.0" if mended else "0.9.0"}).encode()
    with web_server(lambda request: reply(request, 200, body)) as port:
        probe = lines("thebot", "sites", "bot", "endpoints", "/api/health/", only="status json within")
        yield {"sites": {"bot": {"url": f"http://127.0.0.1:{port}", "endpoints": {"/api/health/": probe}}}}


@trap("R6 backups that are promised to be encrypted", says_no={"backup.encrypted"})
def dump_in_the_clear(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    needed("openssl", "openssl")
    made = folder / time.strftime("backups/pre-deploy-v1.0.0-%Y%m%d_%H%M%S/db_backup.json.age")
    made.parent.mkdir(parents=True)
    clear = json.dumps([{"model": "auth.user", "pk": each, "fields": {"username": "ana"}} for each in range(50)])
    encrypt = ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-pass", "pass:of-the-test"]
    made.write_bytes(
        subprocess.run(encrypt, input=clear.encode(), capture_output=True, check=True).stdout
        if mended
        else clear.encode()
    )
    backup = lines("thebot", "backups", "database", only="on dated rpo size encrypted")
    backup["path"] = f"{folder}/backups/pre-deploy-*/db_backup.json.age"
    yield {"servers": {"production": {**HERE, "memory": {"available": "1M"}}}, "backups": {"database": backup}}


@trap("R11 secrets that are still ${PLACEHOLDERS}", says_no={"secret.placeholder"})
def env_that_was_copied(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    folder.mkdir()
    secrets = lines("zakupai", "servers", "app-1", "files", "/opt/zakupai/.env", "secrets")
    env = folder / ".env"
    env.write_text("".join(f"{name}={'kx81-hq2-vv0' if mended else '${ZAKUPAI_' + name + '}'}\n" for name in secrets))
    yield {"servers": {"app-1": {**HERE, "files": {str(env): {"secrets": secrets}}}}}


@trap("R13 a Grafana that everybody knows the password of", says_no={"grafana.default_password_refused"})
def grafana_as_it_comes(folder: Path, mended: bool) -> Iterator[dict[str, Any]]:
    with web(grafana_of("long-and-own" if mended else "admin", anonymous=False)) as server:
        grafana = lines(
            "zenzefi", "monitoring", "production", "grafana", only="default_password_refused login_required"
        )
        yield {"monitoring": {"production": {"grafana": {"url": server.url, **grafana}}}}


def gated(folder: Path, production: dict[str, Any]) -> Ended:
    environ = {name: production.pop(name) for name in ("PATH",) if name in production}
    project = Project(folder)
    project.write("inventory.yml", json.dumps({"project": "trap", **production}))
    return project.readygate("run", **{**rclone_environ(), **environ})


def failed(ended: Ended) -> set[str]:
    return {each["check"] for each in ended.run["results"] if each["outcome"] == "failed"}


NAMED = [
    pytest.param(each, id=name, marks=[pytest.mark.alone] * name.startswith("T11")) for name, each in TRAPS.items()
]


@pytest.mark.parametrize("row", NAMED)
def test_a_production_as_the_guide_makes_it_is_no_go(row: Trap, tmp_path: Path) -> None:
    with row.production(tmp_path / "production", False) as production:
        ended = gated(tmp_path / "gate", production)
    assert (ended.code, ended.word) == (1, "NO-GO"), ended.stdout + ended.stderr
    assert row.says_no <= failed(ended), ended.stdout


@pytest.mark.parametrize("row", NAMED)
def test_the_same_lines_are_go_once_it_is_mended(row: Trap, tmp_path: Path) -> None:
    with row.production(tmp_path / "production", True) as production:
        ended = gated(tmp_path / "gate", production)
    assert (ended.code, ended.word) == (0, "GO"), ended.stdout + ended.stderr


def test_t11_a_plan_that_can_not_reach_its_own_target_is_refused(tmp_path: Path) -> None:
    plan = lines("zenzefi", "load", "as-planned")
    plan["thresholds"]["rate"] = ">=1000/s"
    ended = gated(tmp_path, {"allow_load": [plan["target"]], "load": {"as-planned": plan}})
    assert ended.code == 2
    assert "50" in ended.stderr and "1000" in ended.stderr


def test_every_trap_is_in_the_table() -> None:
    rows = {name.split()[0] for name in (*TRAPS, *ELSEWHERE)}
    assert {f"T{number}" for number in range(1, 14)} <= rows
    for where in ELSEWHERE.values():
        module, _, test = where.partition(".")
        assert callable(getattr(importlib.import_module(f"tests.{module}"), test))
