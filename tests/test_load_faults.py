"""What can be wrong with a target under load: each fault is found, by the check that is there for it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from readygate.areas.load.watch import Watch, observe_sample
from tests.holding import LOCAL
from tests.load_target import Target, serving
from tests.test_load_runs import SHORT, failed, free_port, plan, run

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def _out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("READYGATE_OUT", str(tmp_path))


def listening(port: int) -> None:
    """Once somebody listens there."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)


def asked(server: Target, step: object, **changes: Any) -> dict[str, Any]:
    users = {"max": 150, "mix": [{"journey": "browse", "steps": [step]}]}
    return plan(server.url, **{"users": users, "stages": SHORT, "thresholds": {"errors": "0%"}, **changes})


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ("GET /cutting", "answer cut off"),
        ("GET /babbling", "not an HTTP answer"),
        ("GET /doubling", "not an HTTP answer"),
        ("GET /moved", "status 302"),
        ({"request": "GET /signed-out", "contains": "Your orders"}, "wrong answer: without the text expected in it"),
    ],
)
def test_what_is_no_answer_is_an_error(step: object, kind: str, target: Target) -> None:
    declared = asked(target, step, stop_at_errors="100%")
    assert set(run(declared).outcome.whole.errors) == {kind}
    assert failed(declared) == {"load.errors"}


@pytest.mark.parametrize(
    "step",
    [
        "GET /closing",
        "GET /unmeasured",
        {"request": "GET /moved", "status": 302},
        {"request": "GET /packed", "headers": {"Accept-Encoding": "gzip"}, "json": {"status": "ok"}},
    ],
    ids=str,
)
def test_unusual_answers_are_right(step: object, target: Target) -> None:
    assert failed(asked(target, step)) == set()


def test_a_target_that_gets_faster_by_failing_is_no_faster(target: Target) -> None:
    declared = asked(
        target, "GET /faster-by-failing", thresholds={"p50": "50ms", "errors": "0%"}, stop_at_errors="100%"
    )
    assert failed(declared) == {"load.errors", "load.p50"}


def test_a_target_whose_certificate_nobody_trusts_errs_in_each_handshake(target: Target, tmp_path: Path) -> None:
    """Its handshakes are those of a small server of OpenSSL's, with a certificate that it has signed itself."""
    key, certificate, port = tmp_path / "key.pem", tmp_path / "certificate.pem", free_port()
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    called = ["openssl", "s_server", "-quiet", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-key", key]
    with subprocess.Popen(
        called, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        listening(port)
        declared = asked(target, "GET /", target=f"https://127.0.0.1:{port}", stop_at_errors="100%")
        whole = run(declared).outcome.whole
        server.kill()
    assert not whole.good
    assert all("CERTIFICATE_VERIFY_FAILED" in kind for kind in whole.errors)


def test_an_address_that_refuses_is_passed_over_as_browsers_do(target: Target) -> None:
    """Where localhost has two addresses, nobody listens on one of them."""
    assert failed(asked(target, "GET /sound", target=target.url.replace("127.0.0.1", "localhost"))) == set()


def test_a_target_that_hoards_memory_fails_on_its_server(target: Target) -> None:
    """This machine is the server; what 300 requests leave there is a thirtieth of its memory."""
    total = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    target.hoards = total // 30 // 300
    declared = asked(target, "GET /hoarding", stages=[{"hold": "3s", "measure": True}])
    before = observe_sample(LOCAL, Watch.model_validate({"on": "here", "memory": "99%"})).memory_percent
    declared["watch"] = {"on": "here", "memory": f"{before + 1.5:.1f}%"}
    try:
        assert failed(declared) == {"load.server.memory"}
    finally:
        target.hoard.clear()
