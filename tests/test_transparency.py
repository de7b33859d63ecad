"""Certificate Transparency, with logs of the tests' own that sign as RFC 6962 says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtensionOID
from pydantic import ValidationError

from readygate.areas.sites.site import Site
from readygate.errors import CouldNotLook
from tests.vouching import STAMPS, Log, listing, stamped
from tests.web import Signed, authority, failing, named, tls_context, web_server

HOST = "shop.example"
ROOT = authority()
A, B, C = Log("A"), Log("B", rsa.generate_private_key(65537, 2048)), Log("C")


def logged(*logs: Log, ahead_s: int = 0, forged: bool = False) -> Signed:
    return stamped(ROOT.issue(HOST), *logs, ahead_s=ahead_s, forged=forged)


def failed(
    folder: Path, shown: Signed, *logs: dict[str, Any], chain: tuple[Signed, ...] = (ROOT,), **tls: Any
) -> set[str]:
    if logs:
        (folder / "log_list.json").write_text(listing(*logs))
        tls["ct_logs"] = str(folder / "log_list.json")
    with web_server(context=tls_context(folder, shown, *chain)) as port:
        return failing("sites", {"url": f"https://{HOST}:{port}", "resolve": "127.0.0.1", "tls": {"scts": 2, **tls}})


def test_logs_are_counted_once_each(tmp_path: Path) -> None:
    assert logged(A).certificate.extensions.get_extension_for_oid(ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS)
    assert not failed(tmp_path, logged(A, B))
    assert not failed(tmp_path, logged(A, B, C), scts=">=3")
    assert failed(tmp_path, logged(A, A)) == {"tls.scts"}
    assert failed(tmp_path, logged(A)) == {"tls.scts"}
    assert failed(tmp_path, ROOT.issue(HOST)) == {"tls.scts"}


def test_timestamps_are_verified_where_logs_are_listed(tmp_path: Path) -> None:
    known = (A.listed(), B.listed())
    assert not failed(tmp_path, logged(A, B), *known)
    assert failed(tmp_path, logged(A, C), *known) == {"tls.scts"}
    assert failed(tmp_path, logged(A, B, forged=True), *known) == {"tls.scts"}
    assert failed(tmp_path, logged(A, B, ahead_s=3600), *known) == {"tls.scts"}


def test_a_timestamp_of_another_certificate_vouches_for_nothing(tmp_path: Path) -> None:
    ours, theirs = logged(A, B), logged(A, B)
    assert failed(tmp_path, ours, *(each.listed() for each in (A, B))) == set()
    stamps = theirs.certificate.extensions.get_extension_for_oid(STAMPS)
    stolen = x509.CertificateBuilder(
        extensions=[each for each in ours.certificate.extensions if each.oid != STAMPS] + [stamps]
    )
    stolen = stolen.subject_name(named(HOST)).issuer_name(ours.certificate.issuer)
    stolen = stolen.public_key(ours.key.public_key()).serial_number(5)
    stolen = stolen.not_valid_before(ours.certificate.not_valid_before_utc)
    stolen = stolen.not_valid_after(ours.certificate.not_valid_after_utc)
    shown = replace(ours, certificate=stolen.sign(ROOT.key, hashes.SHA256()))
    assert failed(tmp_path, shown, *(each.listed() for each in (A, B))) == {"tls.scts"}


@pytest.mark.parametrize(
    ("state", "since", "counts"),
    [
        ("qualified", "2020-01-01T00:00:00Z", True),
        ("readonly", "2020-01-01T00:00:00Z", True),
        ("retired", "2999-01-01T00:00:00Z", True),
        ("retired", "2020-01-01T00:00:00Z", False),
        ("rejected", "2020-01-01T00:00:00Z", False),
        ("pending", "2020-01-01T00:00:00Z", False),
    ],
)
def test_the_state_of_a_log_decides_whether_it_counts(tmp_path: Path, state: str, since: str, counts: bool) -> None:
    shown = logged(A, B)
    assert failed(tmp_path, shown, A.listed(), B.listed(state, since)) == (set() if counts else {"tls.scts"})


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"operators": []}', '{"operators": [{"logs": [{"state": {"usable": 1}}]}]}'],
)
def test_a_list_that_cannot_be_used_is_no_verdict(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(CouldNotLook, match="list"):
        failed(tmp_path, logged(A, B), ct_logs=str(tmp_path / "list.json"))
    with pytest.raises(CouldNotLook, match="can't be read"):
        failed(tmp_path, logged(A, B), ct_logs=str(tmp_path / "none.json"))


def test_without_the_issuer_nothing_can_be_verified(tmp_path: Path) -> None:
    with pytest.raises(CouldNotLook, match="certificate of the issuer"):
        failed(tmp_path, logged(A, B), A.listed(), B.listed(), chain=())


def test_a_list_without_a_count_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"add e\.g\. scts: 2"):
        Site.model_validate({"url": "https://a.example", "tls": {"trusted": True, "ct_logs": "list.json"}})
