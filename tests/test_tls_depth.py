"""Ciphers, profiles, stapling, ports with STARTTLS, and renewal, on real servers with one flaw each."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp
from pydantic import ValidationError

from readygate.areas.sites.site import Site, origin_of
from readygate.areas.tls.ports import TlsPort
from readygate.areas.tls.renewal import Renewal, longest_gap_s
from readygate.areas.tls.stapling import observe_stapling
from readygate.areas.tls.tls import observe_protocols
from readygate.errors import CouldNotLook
from tests.database_servers import new_postgres
from tests.holding import LOCAL
from tests.lab.fixtures import unable
from tests.tls_flaws import serving, signed_with_sha1
from tests.vouching import Log, ocsp_response, responder, stamped
from tests.web import DAY, Signed, authority, failing, free_port, nginx, site, tls_context, web_server, write_chain

HOST = "shop.example"
ROOT = authority()
ECDSA = ROOT.issue(HOST)
STRONG = rsa.generate_private_key(65537, 2048)
RSA = ROOT.issue(HOST, key=STRONG)
STRANGER = authority()
MODERN_RSA = ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"]
CHOOSES = "ssl_prefer_server_ciphers on;"
MODERN_ECDSA = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"]

Configured = Callable[..., int]


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Configured]:
    """Starts nginx with these ciphers, protocols and further rules, and gives its port."""
    with ExitStack() as running:

        def start(
            ciphers: str = "",
            protocols: str = "TLSv1.2 TLSv1.3",
            shown: Signed = RSA,
            more: str = "",
            listen: str = "ssl",
        ) -> int:
            chain, key = write_chain(tmp_path, shown)
            rules = f"ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols {protocols}; return 204;"
            rules += f"ssl_ciphers {ciphers}:@SECLEVEL=0; {more}" if ciphers else more
            return running.enter_context(nginx(tmp_path, rules, listen=listen))

        yield start


def failed(port: int, **tls: Any) -> set[str]:
    return failing("sites", {"url": f"https://{HOST}:{port}", "resolve": "127.0.0.1", "tls": tls})


def test_ciphers_are_exactly_those_that_nginx_accepts(configured: Configured) -> None:
    port = configured(":".join(MODERN_RSA))
    assert not failed(port, ciphers=MODERN_RSA, forward_secrecy=True)
    assert failed(port, ciphers=MODERN_RSA[:1]) == {"tls.ciphers"}
    assert failed(port, ciphers=[*MODERN_RSA, "AES128-SHA"]) == {"tls.ciphers"}


def test_a_suite_without_forward_secrecy_is_found(configured: Configured) -> None:
    port = configured(":".join([*MODERN_RSA, "AES128-SHA", "NULL-SHA256"]))
    assert failed(port, ciphers=MODERN_RSA, forward_secrecy=True) == {"tls.ciphers", "tls.forward_secrecy"}
    assert not failed(port, ciphers=[*MODERN_RSA, "AES128-SHA", "NULL-SHA256"], forward_secrecy=False)


def test_every_suite_that_openssl_accepts_is_seen(configured: Configured) -> None:
    listed = subprocess.run(
        ["openssl", "ciphers", "-s", "-tls1_2", "aRSA:@SECLEVEL=0"], capture_output=True, text=True, check=True
    )
    names = [each for each in listed.stdout.strip().split(":") if not each.startswith(("RSA-PSK", "DHE-RSA-DES"))]
    # Without dhparam nginx has no DHE; PSK and SRP need what no web server has.
    names = [each for each in names if not each.startswith(("DHE-", "SRP", "TLS_")) and "PSK" not in each]
    assert not failed(configured(":".join(names)), ciphers=names)


def test_who_chooses_the_cipher_is_seen(configured: Configured) -> None:
    port = configured(":".join(MODERN_RSA), more="ssl_prefer_server_ciphers on;")
    assert not failed(port, server_preference=True)
    other = configured(":".join(MODERN_RSA), more="ssl_prefer_server_ciphers off;")
    assert failed(other, server_preference=True) == {"tls.server_preference"}


@pytest.mark.parametrize(
    ("protocols", "ciphers", "shown", "met"),
    [
        ("TLSv1.3", MODERN_ECDSA, ROOT.issue(HOST, ends=80 * DAY), "modern"),
        ("TLSv1.3", MODERN_RSA, RSA, "intermediate"),
        ("TLSv1.2 TLSv1.3", MODERN_ECDSA, ECDSA, "intermediate"),
        ("TLSv1.2", [*MODERN_RSA, "AES128-SHA"], RSA, "old"),
        ("TLSv1 TLSv1.1 TLSv1.2", [*MODERN_RSA, "AES128-SHA"], RSA, "old"),
        ("TLSv1.2", [*MODERN_RSA, "NULL-SHA256"], RSA, None),
        ("TLSv1.2", MODERN_RSA, ROOT.issue(HOST, key=rsa.generate_private_key(65537, 1024)), None),
        ("TLSv1.2", MODERN_ECDSA, ROOT.issue(HOST, ends=700 * DAY), None),
    ],
)
def test_a_profile_is_met_by_it_and_by_what_is_stricter(
    configured: Configured, protocols: str, ciphers: list[str], shown: Signed, met: str | None
) -> None:
    port = configured(":".join(ciphers), protocols, shown)
    profiles = ["old", "intermediate", "modern"]
    for number, profile in enumerate(profiles):
        holds = met is not None and number <= profiles.index(met)
        assert failed(port, profile=profile) == (set() if holds else {"tls.profile"}), profile


def test_http_2_is_agreed_on_only_where_nginx_has_it(configured: Configured) -> None:
    assert not failed(configured(listen="ssl http2"), alpn="h2")
    assert failed(configured(), alpn="h2") == {"tls.alpn"}


def test_key_and_signature_are_told(configured: Configured) -> None:
    assert not failed(configured(shown=ECDSA), key_type="ECDSA", signature="sha256")
    assert failed(configured(shown=RSA), key_type="ECDSA", signature="sha384") == {"tls.key_type", "tls.signature"}


def test_each_flaw_is_found_and_none_in_a_sound_endpoint(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        found = {each.endpoint.name: failing("sites", each.declared) for each in served}
    assert found == {each.endpoint.name: {f"tls.{check}" for check in each.endpoint.fails} for each in served}


@pytest.mark.parametrize(
    ("twin", "fails"),
    [
        (ROOT.issue(HOST, key=STRONG), set()),
        (ROOT.issue(HOST, key=STRONG, begins=-90 * DAY, ends=-DAY), {"tls.trusted", "tls.renew_before"}),
        (ROOT.issue("www.other.example", key=STRONG), {"tls.matches_host"}),
        (authority("Strangers").issue(HOST, key=STRONG), {"tls.trusted"}),
        (ROOT.issue(HOST, key=rsa.generate_private_key(65537, 1024)), {"tls.trusted", "tls.key_bits", "tls.profile"}),
    ],
    ids=["sound", "expired", "another-host", "unknown-issuer", "weak"],
)
def test_the_certificate_for_clients_who_know_only_rsa_is_looked_at_too(
    twin: Signed, fails: set[str], configured: Configured, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    (tmp_path / "twin").mkdir()
    chain, key = write_chain(tmp_path / "twin", twin)
    both = f"ssl_certificate {chain}; ssl_certificate_key {key};"
    port = configured(":".join(MODERN_ECDSA + MODERN_RSA), shown=ECDSA, more=both)
    promises: dict[str, Any] = {"trusted": True, "matches_host": True, "renew_before": "14d", "key_bits": 2048}
    assert failed(port, ca=f"{tmp_path}/ca.pem", profile="intermediate", **promises) == fails


TRY_LATER = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)


def test_a_stapled_response_is_seen(tmp_path: Path) -> None:
    chain, key = write_chain(tmp_path, ECDSA)
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    (tmp_path / "ocsp.der").write_bytes(ocsp_response(ECDSA))
    for staple, expected in (["-status_file", f"{tmp_path}/ocsp.der"], set()), ([], {"tls.stapled"}):
        with openssl(chain, key, *staple) as port:
            assert failed(port, stapled=True, ca=f"{tmp_path}/ca.pem") == expected
    (tmp_path / "ocsp.der").write_bytes(ocsp_response(ECDSA, by=responder(ROOT)))
    with openssl(chain, key, "-status_file", f"{tmp_path}/ocsp.der") as port:
        assert not failed(port, stapled=True, ca=f"{tmp_path}/ca.pem")
        with pytest.raises(CouldNotLook, match="sends no certificate of its issuer"):
            failed(port, stapled=True)
    with openssl(chain, key, "-tls1_3") as port, pytest.raises(CouldNotLook, match=r"does not speak TLS 1\.2"):
        failed(port, stapled=True)


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (ocsp_response(ECDSA, ends=timedelta(hours=-1)), "ran out on"),
        (ocsp_response(ECDSA, begins=DAY, ends=2 * DAY), "begins only on"),
        (ocsp_response(ECDSA, status=ocsp.OCSPCertStatus.REVOKED), "is revoked"),
        (ocsp_response(ECDSA, status=ocsp.OCSPCertStatus.UNKNOWN), "is unknown"),
        (ocsp_response(RSA), "about another certificate"),
        (ocsp_response(ECDSA, by=STRANGER), "not signed by the issuer"),
        (ocsp_response(ECDSA, by=responder(ROOT, ends=-DAY / 2)), "not signed by the issuer"),
        (ocsp_response(ECDSA, by=responder(STRANGER)), "not signed by the issuer"),
        (ocsp_response(ECDSA, by=RSA), "not signed by the issuer"),
        (TRY_LATER.public_bytes(serialization.Encoding.DER), "says try_later"),
    ],
    ids=[
        *("ran out", "not yet", "revoked", "unknown", "of another", "by a stranger", "by whom it told to once"),
        *("by whom a stranger told to", "by whom it did not tell to", "try later"),
    ],
)
def test_a_stapled_response_that_no_client_can_go_by_is_none(response: bytes, told: str, tmp_path: Path) -> None:
    chain, key = write_chain(tmp_path, ECDSA)
    (tmp_path / "ocsp.der").write_bytes(response)
    rules = (
        f"ssl_certificate {chain}; ssl_certificate_key {key}; ssl_stapling on; ssl_stapling_file {tmp_path}/ocsp.der;"
    )
    with nginx(tmp_path, rules, listen="ssl") as port:
        ca = str(tmp_path / "ca.pem")
        Path(ca).write_bytes(ROOT.pem)
        assert failed(port, stapled=True, ca=ca) == {"tls.stapled"}
        assert failed(port, stapled=False, ca=ca) == {"tls.stapled"}
        origin = origin_of(site(f"https://{HOST}:{port}", tls={"stapled": True, "ca": ca}))
        assert told in observe_stapling(origin, observe_protocols(origin)).reason


@contextmanager
def openssl(chain: Path, key: Path, *more: str) -> Iterator[int]:
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", chain, "-key", key, "-quiet", *more]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def test_a_node_with_another_certificate_is_found(tmp_path: Path) -> None:
    with ExitStack() as running:

        def node(shown: Signed) -> int:
            return running.enter_context(web_server(context=tls_context(tmp_path, shown)))

        one, same, other = node(ECDSA), node(ECDSA), node(ROOT.issue(HOST))
        for ports, expected in ([one, same], set()), ([one, other], {"tls.same_on_every_node"}):
            nodes = [f"127.0.0.1:{port}" for port in ports]
            site = {"url": f"https://{HOST}", "nodes": nodes, "tls": {"same_on_every_node": True}}
            assert failing("sites", site) == expected


def test_each_node_is_looked_at(tmp_path: Path) -> None:
    inner, other = (ROOT.issue(name, authority=True) for name in ("Lab Trust Intermediate", "Edge Proxy"))
    logs = (Log("A"), Log("B"))
    leaf = stamped(inner.issue(HOST, key=STRONG), *logs)
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    (tmp_path / "ocsp.der").write_bytes(ocsp_response(leaf))
    staple = f"ssl_stapling on; ssl_stapling_file {tmp_path}/ocsp.der;"

    with ExitStack() as running:

        def node(
            *chain: Signed,
            suites: list[str] = MODERN_RSA,
            rules: str = f"{CHOOSES} {staple}",
            protocols: str = "TLSv1.2 TLSv1.3",
            listen: str = "ssl http2",
        ) -> str:
            folder = Path(tempfile.mkdtemp(dir=tmp_path))
            served, key = write_chain(folder, *(chain or (leaf, inner)))
            rules += f"ssl_certificate {served}; ssl_certificate_key {key}; ssl_protocols {protocols}; return 204;"
            rules += f"ssl_ciphers {':'.join(suites)}:@SECLEVEL=0;"
            return f"127.0.0.1:{running.enter_context(nginx(folder, rules, listen=listen))}"

        def showing(name: str = HOST, signer: Signed = inner, bits: int = 2048, days: int = 90) -> str:
            key = STRONG if bits == 2048 else rsa.generate_private_key(65537, bits)
            return node(stamped(signer.issue(name, key=key, ends=days * DAY), *logs), signer)

        sound = node()
        tls = {
            "ca": f"{tmp_path}/ca.pem",
            "trusted": True,
            "matches_host": True,
            "covers": [HOST],
            "renew_before": "14d",
            "issuer": "Lab Trust Intermediate",
            "key_type": "RSA",
            "key_bits": 2048,
            "signature": "sha256",
            "protocols": ["TLSv1.2", "TLSv1.3"],
            "ciphers": MODERN_RSA,
            "forward_secrecy": True,
            "server_preference": True,
            "profile": "intermediate",
            "alpn": "h2",
            "stapled": True,
            "scts": 2,
        }
        declared: dict[str, Any] = {"url": f"https://{HOST}", "resolve": sound, "nodes": [sound], "tls": tls}
        assert failing("sites", declared) == set()
        for place, expected in (
            (node(suites=MODERN_RSA[:1]), {"ciphers"}),
            (node(suites=[*MODERN_RSA, "ECDHE-RSA-AES128-SHA"]), {"ciphers", "profile"}),
            (node(suites=[*MODERN_RSA, "AES128-SHA"]), {"ciphers", "profile", "forward_secrecy"}),
            (node(rules=staple), {"server_preference"}),
            (node(rules=CHOOSES), {"stapled"}),
            (node(protocols="TLSv1.2"), {"protocols"}),
            (node(listen="ssl"), {"alpn"}),
            # What is stapled is about the certificate of the others.
            (showing(days=5), {"renew_before", "stapled"}),
            (showing(days=700), {"profile", "stapled"}),
            (showing("www.other.example"), {"matches_host", "covers", "stapled"}),
            (showing(signer=other), {"issuer", "stapled"}),
            (showing(bits=1024), {"key_bits", "profile", "trusted", "stapled"}),
            (node(inner.issue(HOST, key=STRONG), inner), {"scts", "stapled"}),
            (node(signed_with_sha1(inner, HOST, key=STRONG), inner), {"signature", "trusted", "scts", "stapled"}),
        ):
            assert failing("sites", {**declared, "nodes": [sound, place]}) == {f"tls.{each}" for each in expected}
        for place, message in (
            (node(leaf), "sends no certificate of its issuer"),
            (node(protocols="TLSv1.3"), r"does not speak TLS 1\.2"),
            (f"127.0.0.1:{free_port()}", "refuses the connection"),
        ):
            with pytest.raises(CouldNotLook, match=message):
                failing("sites", {**declared, "nodes": [sound, place], "tls": {"stapled": True, "ca": tls["ca"]}})
        judged: dict[str, Any] = {"covers": {"lacks": ["internal.example"]}}
        tells_too_much = node(inner.issue(HOST, "internal.example", key=STRONG), inner)
        for nodes, failed_checks in ([sound], set()), ([sound, tells_too_much], {"tls.covers"}):
            assert failing("sites", {**declared, "nodes": nodes, "tls": judged}) == failed_checks
        judged = {"ca": tls["ca"], "trusted": True, "protocols": tls["protocols"]}
        nodes = [sound, node(leaf), node(protocols="TLSv1.3")]
        assert failing("sites", {**declared, "nodes": nodes, "tls": judged}) == {"tls.trusted", "tls.protocols"}


IN_A_NETWORK_OF_ITS_OWN = """
set -e
ip link set lo up
mount --bind hosts /etc/hosts
nginx -c "$PWD/nginx.conf" -e nginx.log
trap 'kill "$(cat nginx.pid)"' EXIT
"$0" -m readygate run launch
"""


def test_each_address_behind_the_name_is_looked_at(tmp_path: Path) -> None:
    """One is looked at as it is, one refuses the connection, and to one there is no way."""
    if subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, check=False).returncode:
        unable("no network of its own can be made here")
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    chain, key = write_chain(tmp_path, RSA)
    inventory = {
        "project": "shop",
        "sites": {
            "shop": {
                "url": f"https://{HOST}:8443",
                "tls": {"ca": str(tmp_path / "ca.pem"), "trusted": True, "profile": "intermediate"},
            }
        },
    }
    (tmp_path / "inventory.yml").write_text(json.dumps(inventory))
    for last, word in ("127.0.0.3", "GO"), ("127.0.0.2", "NO-GO"):
        (tmp_path / "hosts").write_text(f"127.0.0.1 {HOST}\n192.0.2.1 {HOST}\n{last} {HOST}\n")
        servers = "".join(
            f"server {{ listen {address}:8443 ssl; ssl_ciphers {':'.join(suites)}:@SECLEVEL=0; return 204; }}"
            for address, suites in {"127.0.0.1": MODERN_RSA, "127.0.0.2": [*MODERN_RSA, "AES128-SHA"]}.items()
        )
        (tmp_path / "nginx.conf").write_text(
            f"pid {tmp_path}/nginx.pid; events {{}} http {{ access_log off; ssl_protocols TLSv1.2 TLSv1.3;"
            f"ssl_certificate {chain}; ssl_certificate_key {key}; {servers} }}"
        )
        command = ["unshare", "--mount", "--net", "sh", "-c", IN_A_NETWORK_OF_ITS_OWN, sys.executable]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        run = json.loads((tmp_path / "readygate-out" / "results.json").read_text())
        assert run["verdict"]["word"] == word, ended.stdout + ended.stderr
        said = {evidence["answered"] for result in run["results"] for evidence in result["evidence"]}
        assert "this machine has no way to 192.0.2.1:8443" in said
        assert (f"{last}:8443 refuses the connection" in said) is (word == "GO")


DIALOGUES: dict[str, list[tuple[bytes, bytes]]] = {
    "smtp": [
        (b"", b"220 mail.example ESMTP\r\n"),
        (b"EHLO", b"250-mail.example\r\n250-SIZE 1000\r\n250 STARTTLS\r\n"),
        (b"STARTTLS", b"220 go ahead\r\n"),
    ],
    "imap": [(b"", b"* OK ready\r\n"), (b"a STARTTLS", b"a OK begin\r\n")],
    "pop3": [(b"", b"+OK ready\r\n"), (b"STLS", b"+OK begin\r\n")],
    "postgres": [(bytes.fromhex("0000000804d2162f"), b"S")],
    "ldap": [(b"\x30\x1d", bytes.fromhex("300c02010178070a010004000400"))],
}
REFUSALS = {
    "smtp": [DIALOGUES["smtp"][0], (b"EHLO", b"250 mail.example\r\n")],
    "imap": [DIALOGUES["imap"][0], (b"a STARTTLS", b"a BAD no\r\n")],
    "pop3": [DIALOGUES["pop3"][0], (b"STLS", b"-ERR no\r\n")],
    "postgres": [(DIALOGUES["postgres"][0][0], b"N")],
    "ldap": [(b"\x30", bytes.fromhex("300c02010178070a010204000400"))],
}


@contextmanager
def port_with_starttls(folder: Path, dialogue: list[tuple[bytes, bytes]]) -> Iterator[int]:
    """Speaks the dialogue and then TLS, as an SMTP server and the like do."""
    context = tls_context(folder, ECDSA)

    def serve(line: socket.socket) -> None:
        try:
            with line:
                for asked, answer in dialogue:
                    if asked and not line.recv(1024).startswith(asked):
                        return
                    line.sendall(answer)
                with context.wrap_socket(line, server_side=True) as secured:
                    secured.recv(1)
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(line,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]


def mail(port: int, protocol: str | None, ca: Path) -> dict[str, Any]:
    tls = {"trusted": True, "matches_host": True, "protocols": ["TLSv1.2", "TLSv1.3"], "ca": str(ca)}
    return {"at": f"{HOST}:{port}", "resolve": "127.0.0.1", "timeout": "2s", "starttls": protocol, "tls": tls}


@pytest.mark.parametrize("protocol", DIALOGUES)
def test_tls_is_looked_at_after_starttls(protocol: str, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    with port_with_starttls(tmp_path, DIALOGUES[protocol]) as port:
        declared = mail(port, protocol, tmp_path / "ca.pem")
        assert not failing("tls_ports", declared)
        wrong = declared["tls"] | {"protocols": ["TLSv1.3"]}
        assert failing("tls_ports", {**declared, "at": f"x.example:{port}", "tls": wrong}) == {
            "tls.matches_host",
            "tls.protocols",
        }
    with (
        port_with_starttls(tmp_path, REFUSALS[protocol]) as port,
        pytest.raises(CouldNotLook, match=f"does not start TLS over {protocol}"),
    ):
        failing("tls_ports", mail(port, protocol, tmp_path / "ca.pem"))


def test_a_postgresql_is_looked_at_after_starttls() -> None:
    with new_postgres() as server:
        tls = {"ca": f"{server.folder}/server.crt", "trusted": True, "protocols": ["TLSv1.2", "TLSv1.3"]}
        declared = {"at": f"{HOST}:{server.port}", "resolve": "127.0.0.1", "starttls": "postgres", "tls": tls}
        assert not failing("tls_ports", declared)
        wrong = {"trusted": True, "protocols": ["TLSv1.3"], "renew_before": "14d", "key_type": "ECDSA"}
        assert failing("tls_ports", {**declared, "tls": wrong}) == {
            "tls.trusted",
            "tls.protocols",
            "tls.renew_before",
        }
        with pytest.raises(CouldNotLook, match="does not start TLS over smtp"):
            failing("tls_ports", {**declared, "starttls": "smtp", "timeout": "1s"})


def test_a_bare_port_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    with web_server(context=tls_context(tmp_path, ECDSA)) as port:
        assert not failing("tls_ports", mail(port, None, tmp_path / "ca.pem"))


@pytest.mark.parametrize("at", ["mail.example", "mail.example:", "https://mail.example", "mail.example:0"])
def test_a_port_that_is_none_is_refused(at: str) -> None:
    with pytest.raises(ValidationError, match="is not a port of a host"):
        TlsPort.model_validate({"at": at, "tls": {"trusted": True}})


def test_a_renewed_file_that_nobody_loaded_is_found(tmp_path: Path) -> None:
    with web_server(context=tls_context(tmp_path, ECDSA)) as port:

        def site(path: Path) -> set[str]:
            tls = {"deployed": {"on": "app-1", "path": str(path), "served": True}}
            declared = {"url": f"https://{HOST}:{port}", "resolve": "127.0.0.1", "tls": tls}
            return failing("sites", declared, {"app-1": LOCAL})

        loaded, renewed = tmp_path / "live.pem", tmp_path / "new.pem"
        loaded.write_bytes(ECDSA.pem + ROOT.pem)
        renewed.write_bytes(ROOT.issue(HOST).pem)
        assert not site(loaded)
        assert site(renewed) == {"deployed.served"}
        assert site(tmp_path / "gone.pem") == {"deployed.served"}
        renewed.write_text("nothing")
        with pytest.raises(CouldNotLook, match="holds no certificate"):
            site(renewed)


@pytest.mark.parametrize(
    ("schedule", "days"),
    [
        ("0 0 1 * *", 31),
        ("0 3 * * *", 1),
        ("0 3 * * 1", 7),
        ("0 0 1 */2 *", 62),
        ("0 0 29 2 *", 4 * 365 + 1),
        ("0 0 1,15 * 1", 7),
    ],
)
def test_the_longest_gap_of_a_schedule(schedule: str, days: int) -> None:
    assert longest_gap_s(schedule) == days * 86400


def test_t10_a_monthly_renewal_comes_too_late_at_the_worst() -> None:
    renewal = Renewal.model_validate({"on": "app-1", "cron": "certbot renew", "time_left": "7d"})
    left_s = renewal.begins - longest_gap_s("0 0 1 * *")
    assert left_s == -86400
    assert left_s not in renewal.time_left
    assert renewal.begins - longest_gap_s("0 3 * * *") in renewal.time_left


@pytest.mark.parametrize(
    ("tls", "message"),
    [
        ({"ciphers": ["ECDHE-RSA-AES128-GCM-SHA265"]}, "e.g. ECDHE-RSA-AES128-GCM-SHA256"),
        ({"profile": "moderne"}, "write modern, intermediate, old"),
        ({"renewal": {"on": "app-1", "scheduled": True}}, "add either `timer: certbot`"),
    ],
)
def test_tls_that_cannot_be_is_refused(tls: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Site.model_validate({"url": "https://shop.example", "tls": tls})
