"""The area of TLS, shown on servers that are sound and on servers that are broken in one way each."""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from readygate.areas.sites.site import origin_of
from readygate.areas.tls.certificate import observe_certificate
from readygate.areas.tls.hello import StrangeAnswerError, Version, chosen_version, client_hello
from readygate.areas.tls.tls import Tls, observe_protocols, observe_trust
from readygate.areas.tls.trust import Fault
from readygate.errors import CouldNotLook
from tests.web import (
    DAY,
    Signed,
    authority,
    free_port,
    nginx,
    raw_server,
    self_signed,
    site,
    tls_context,
    web_server,
    write_chain,
)

HOST = "shop.example"
ROOT = authority()
INTERMEDIATE = ROOT.issue("Lab Intermediate", authority=True)
SOUND = ROOT.issue(HOST)

Served = Callable[..., AbstractContextManager[int]]


@pytest.fixture
def ca(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    path.write_bytes(ROOT.pem)
    return str(path)


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """A server that shows these certificates, as a context manager that gives its port."""

    def start(shown: Signed, *others: Signed) -> AbstractContextManager[int]:
        return web_server(context=tls_context(tmp_path, shown, *others))

    return start


def tls_site(port: int, **tls: Any) -> tuple[Any, Tls]:
    declared = site(f"https://{HOST}:{port}", tls={"trusted": True, **tls})
    assert declared.tls
    return origin_of(declared), declared.tls


def test_renewal_window_passes_a_fresh_certificate_and_warns_before_it_fails(served: Served) -> None:
    with served(ROOT.issue(HOST, ends=20 * DAY)) as port:
        origin, _ = tls_site(port)
        left = observe_certificate(origin).lifetime_left
    assert left in tls_site(port, renew_before="14d")[1].renew_before
    assert left not in tls_site(port, renew_before="30d")[1].renew_before
    levels = tls_site(port, renew_before={"warn": "30d", "fail": "14d"})[1].renew_before
    assert levels.judge(left).level == "warn"


def test_an_expired_certificate_is_described_though_nobody_trusts_it(served: Served) -> None:
    with served(ROOT.issue(HOST, begins=-90 * DAY, ends=-2 * DAY)) as port:
        origin, tls = tls_site(port, renew_before="1d", matches_host=True)
        certificate = observe_certificate(origin)
    assert certificate.lifetime_left < timedelta(days=-1)
    assert certificate.lifetime_left not in tls.renew_before
    assert certificate.covers(origin.host) in tls.matches_host
    assert HOST in certificate.evidence[0].answered


@pytest.mark.parametrize(
    ("names", "host", "covered"),
    [
        ((HOST,), HOST, True),
        ((HOST,), "SHOP.example.", True),
        (("other.example",), HOST, False),
        (("*.example",), HOST, False),
        (("*.shop.example",), "www.shop.example", True),
        (("*.shop.example",), "a.www.shop.example", False),
        (("*.shop.example",), "shop.example", False),
        (("192.0.2.7",), "192.0.2.7", True),
        (("192.0.2.7",), "192.0.2.8", False),
        (("xn--mller-kva.example",), "müller.example", True),
    ],
)
def test_a_certificate_covers_what_rfc_6125_says(
    served: Served, names: tuple[str, ...], host: str, covered: bool
) -> None:
    with served(ROOT.issue(*names)) as port:
        origin, tls = tls_site(port, matches_host=True)
        covers = observe_certificate(origin).covers(host)
    assert covers is covered
    assert (covers in tls.matches_host) is covered


def test_every_declared_name_has_to_be_covered(served: Served) -> None:
    with served(ROOT.issue(HOST, "*.shop.example")) as port:
        origin, sound = tls_site(port, covers=[HOST, "www.shop.example"])
        _, short = tls_site(port, covers=[HOST, "api.other.example"])
        _, lacks = tls_site(port, covers={"lacks": ["internal.shop.example"]})
        certificate = observe_certificate(origin)
    assert certificate.covered(sound.names_to_cover, sound.covers) in sound.covers
    assert certificate.covered(short.names_to_cover, short.covers) not in short.covers
    assert (
        short.covers.judge(certificate.covered(short.names_to_cover, short.covers)).margin
        == "missing api.other.example"
    )
    assert certificate.covered(lacks.names_to_cover, lacks.covers) not in lacks.covers


def test_a_chain_to_the_declared_ca_is_trusted(served: Served, ca: str) -> None:
    with served(INTERMEDIATE.issue(HOST), INTERMEDIATE) as port:
        origin, tls = tls_site(port, ca=ca)
        trust = observe_trust(origin)
    assert trust.fault is None
    assert trust.verified in tls.trusted


@pytest.mark.parametrize(
    ("chain", "fault", "reason"),
    [
        ((ROOT.issue(HOST, begins=-90 * DAY, ends=-DAY),), Fault.EXPIRED, f"CN={HOST} expired on"),
        ((ROOT.issue(HOST, begins=DAY),), Fault.NOT_YET_VALID, f"CN={HOST} is not yet valid"),
        ((self_signed(HOST),), Fault.SELF_SIGNED, "has signed itself"),
        ((INTERMEDIATE.issue(HOST),), Fault.MISSING_INTERMEDIATE, "CN=Lab Intermediate"),
        (
            (authority("Elsewhere").issue("x", authority=True).issue(HOST),),
            Fault.MISSING_INTERMEDIATE,
            "CN=x",
        ),
        ((ROOT.issue(HOST, key=rsa.generate_private_key(65537, 1024)),), Fault.WEAK, "weak key"),
    ],
    ids=lambda each: each.value if isinstance(each, Fault) else "",
)
def test_a_broken_chain_is_not_trusted_and_the_reason_is_named(
    served: Served, ca: str, chain: tuple[Signed, ...], fault: Fault, reason: str
) -> None:
    with served(*chain) as port:
        origin, tls = tls_site(port, ca=ca)
        trust = observe_trust(origin)
    assert trust.fault is fault
    assert trust.verified not in tls.trusted
    assert reason in trust.evidence[0].answered


def test_a_whole_chain_from_a_strange_ca_has_an_unknown_issuer(served: Served, ca: str) -> None:
    between = authority("Elsewhere").issue("Strange Intermediate", authority=True)
    with served(between.issue(HOST), between) as port:
        trust = observe_trust(tls_site(port, ca=ca)[0])
    assert trust.fault is Fault.UNKNOWN_ISSUER
    assert "Elsewhere" in trust.reason


def test_an_expired_intermediate_is_the_one_that_is_named(served: Served, ca: str) -> None:
    late = ROOT.issue("Late Intermediate", authority=True, begins=-90 * DAY, ends=-DAY)
    with served(late.issue(HOST), late) as port:
        trust = observe_trust(tls_site(port, ca=ca)[0])
    assert (trust.fault, trust.reason.split(" expired")[0]) == (Fault.EXPIRED, "CN=Late Intermediate")


def test_the_wrong_host_is_no_matter_of_the_chain(served: Served, ca: str) -> None:
    with served(ROOT.issue("other.example")) as port:
        origin, tls = tls_site(port, ca=ca, matches_host=True)
        assert observe_trust(origin).verified in tls.trusted
        assert observe_certificate(origin).covers(origin.host) not in tls.matches_host


def test_a_private_ca_is_not_trusted_by_the_system(served: Served) -> None:
    with served(INTERMEDIATE.issue(HOST), INTERMEDIATE) as port:
        assert observe_trust(tls_site(port)[0]).fault is Fault.UNKNOWN_ISSUER


def test_a_ca_bundle_that_is_not_there_is_not_a_verdict_on_the_site(served: Served) -> None:
    with served(SOUND) as port, pytest.raises(CouldNotLook, match="CA bundle /nowhere can't be read"):
        observe_trust(tls_site(port, ca="/nowhere")[0])


@pytest.mark.parametrize(
    ("key", "bits", "enough"),
    [
        (rsa.generate_private_key(65537, 2048), 2048, True),
        (rsa.generate_private_key(65537, 1024), 1024, False),
        (None, 3072, True),
    ],
    ids=["rsa2048", "rsa1024", "p256"],
)
def test_key_strength_is_told_in_bits_of_rsa(served: Served, key: Any, bits: int, enough: bool) -> None:
    with served(ROOT.issue(HOST, key=key)) as port:
        origin, tls = tls_site(port, key_bits=2048)
        certificate = observe_certificate(origin)
    assert certificate.key_bits == bits
    assert (certificate.key_bits in tls.key_bits) is enough


def test_issuer_is_the_organisation(served: Served) -> None:
    with served(SOUND) as port:
        origin, tls = tls_site(port, issuer="Lab Trust")
        certificate = observe_certificate(origin)
    assert certificate.issuer in tls.issuer
    assert certificate.issuer not in tls_site(port, issuer="Let's Encrypt")[1].issuer


@pytest.fixture
def with_protocols(tmp_path: Path) -> Iterator[Callable[[list[str]], int]]:
    """Starts nginx with these `ssl_protocols`, and gives its port."""
    chain, key = write_chain(tmp_path, SOUND)
    with ExitStack() as running:

        def start(protocols: list[str]) -> int:
            return running.enter_context(
                nginx(
                    tmp_path,
                    f"ssl_certificate {chain}; ssl_certificate_key {key};"
                    f"ssl_protocols {' '.join(protocols)}; ssl_ciphers ALL:@SECLEVEL=0; return 204;",
                    listen="ssl",
                )
            )

        yield start


@pytest.mark.parametrize(
    "accepted",
    [
        ["TLSv1.3"],
        ["TLSv1.2"],
        ["TLSv1", "TLSv1.1"],
        ["TLSv1.2", "TLSv1.3"],
        ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"],
    ],
    ids=",".join,
)
def test_protocols_are_those_that_nginx_accepts(
    with_protocols: Callable[[list[str]], int], accepted: list[str]
) -> None:
    origin, _ = tls_site(port := with_protocols(accepted))
    protocols = observe_protocols(origin)
    assert protocols.accepted == tuple(accepted)
    assert protocols.accepted in tls_site(port, protocols=accepted)[1].protocols
    others = tls_site(port, protocols=[*accepted[1:], "SSLv3"])[1].protocols
    assert protocols.accepted not in others
    assert "SSLv3 refused" in protocols.evidence[0].answered


def test_an_answer_that_is_not_tls_is_not_a_refusal() -> None:
    with raw_server(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        origin, _ = tls_site(port)
        with pytest.raises(CouldNotLook, match="which is not TLS") as error:
            observe_protocols(origin)
    assert error.value.cause == "handshake:api"


@pytest.mark.parametrize("observe", [observe_protocols, observe_certificate, observe_trust])
def test_a_trickle_is_not_a_refusal_and_does_not_outlast_the_timeout(observe: Callable[[Any], Any]) -> None:
    def trickle(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.sendall(bytes.fromhex("1603034000"))
            for _ in range(100):
                connection.sendall(b"\x02")
                time.sleep(0.1)

    with raw_server(trickle) as port, pytest.raises(CouldNotLook):
        observe(origin_of(site(f"https://{HOST}:{port}", timeout="300ms", tls={"trusted": True})))


def test_silence_is_not_a_refusal() -> None:
    silent = site("https://shop.example:1", tls={"trusted": True}, timeout="300ms")
    with raw_server(lambda connection: time.sleep(2)) as port:
        origin = origin_of(silent.model_copy(update={"url": f"https://{HOST}:{port}"}))
        with pytest.raises(CouldNotLook, match="timed out"):
            observe_protocols(origin)


def test_a_server_that_accepts_nothing_was_not_looked_at() -> None:
    with raw_server(lambda connection: None) as port, pytest.raises(CouldNotLook, match="no version of TLS"):
        observe_protocols(tls_site(port)[0])


@pytest.mark.parametrize("observe", [observe_certificate, observe_trust, observe_protocols])
def test_a_refused_connection_is_unreachable_under_one_cause(observe: Callable[[Any], Any]) -> None:
    with pytest.raises(CouldNotLook, match="refuses the connection") as error:
        observe(tls_site(free_port())[0])
    assert error.value.cause == "unreachable:api"


def test_a_name_that_does_not_resolve_is_unreachable() -> None:
    nowhere = site("https://shop.invalid", resolve="shop.invalid", tls={"trusted": True})
    with pytest.raises(CouldNotLook, match=r"shop\.invalid does not resolve") as error:
        observe_certificate(origin_of(nowhere))
    assert error.value.cause == "unreachable:api"


# Laid out by hand after RFC 6101, 5246 and 8446; below, OpenSSL itself answers.
RANDOM = "11" * 32
HELLO_SSL_3 = f"1603000 02a 02000026 0300 {RANDOM} 00 002f 00"
HELLO_TLS_1_2 = f"160303003d 02000039 0303 {RANDOM} 00 c02f 00 0011 ff01000100 000b000403000102 0017 0000"
RETRY = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
HELLO_TLS_1_3 = f"160303 0058 02000054 0303 {RETRY} 20{'22' * 32} 1301 00 000c 002b00020304 003300020017"
ALERTS = {"protocol_version": "15030100020246", "close_notify": "15030300020100"}
UNRECOGNISED_NAME = "15030300020170"


def reading(hexadecimal: str) -> io.BytesIO:
    return io.BytesIO(bytes.fromhex(hexadecimal.replace(" ", "")))


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        (HELLO_SSL_3, Version.SSL_3),
        (HELLO_TLS_1_2, Version.TLS_1_2),
        (HELLO_TLS_1_3, Version.TLS_1_3),
        (UNRECOGNISED_NAME + HELLO_TLS_1_2, Version.TLS_1_2),
        (ALERTS["protocol_version"], None),
        (ALERTS["close_notify"], None),
        ("", None),
    ],
    ids=["SSLv3", "TLSv1.2", "HelloRetryRequest", "after a warning", "alert", "close_notify", "closed"],
)
def test_the_answer_to_a_hello_says_which_version_was_chosen(answer: str, version: int | None) -> None:
    assert chosen_version(reading(answer)) == version


def test_a_hello_in_several_records_is_put_together() -> None:
    hello = bytes.fromhex(HELLO_TLS_1_2.replace(" ", ""))[5:]
    records = b"".join(b"\x16\x03\x03" + len(part).to_bytes(2) + part for part in (hello[:3], hello[3:]))
    assert chosen_version(io.BytesIO(records)) == Version.TLS_1_2


@pytest.mark.parametrize(
    "answer",
    [
        "16",
        "1603030010 0200",
        "1603030004 0b000000",
        "1603030006 020000020303",
        "48545450 2f312e31",
        "1603030000",
    ],
)
def test_an_answer_that_is_not_understood_is_never_a_refusal(answer: str) -> None:
    with pytest.raises(StrangeAnswerError):
        chosen_version(reading(answer))


@pytest.mark.parametrize("curve", ["X25519", "prime256v1"], ids=["ServerHello", "HelloRetryRequest"])
@pytest.mark.parametrize("version", [Version.TLS_1_2, Version.TLS_1_3])
def test_openssl_understands_our_hello_and_sees_the_name_in_it(version: Version, curve: str, tmp_path: Path) -> None:
    names: list[str | None] = []
    context = tls_context(tmp_path, SOUND)
    context.set_ecdh_curve(curve)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(client_hello(version, HOST))
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    assert chosen_version(io.BytesIO(outgoing.read())) == version
    assert names == [HOST]
