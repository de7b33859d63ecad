"""Certificate Transparency: the timestamps by which public logs vouch that they know of a certificate (RFC 6962)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.certificate_transparency import SignedCertificateTimestamp

from readygate.areas.sites.nodes import at_each_address
from readygate.areas.sites.origin import Origin
from readygate.areas.tls.asking import RefusedError, chain, handshake
from readygate.areas.tls.trust import describing_context, knowing_only
from readygate.errors import CouldNotLook
from readygate.results import Evidence
from readygate.spec import Spec

Chain = tuple[x509.Certificate, ...]
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
_TRUSTED = ("usable", "qualified", "readonly")  # of a log that is "retired", what it signed before


@dataclass(frozen=True, slots=True)
class Log:
    """A public log as the list has it; what it signs counts until `until`, if that is set."""

    name: str
    key: PublicKey
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Transparency:
    """How many logs vouch for the certificate; of two certificates, for the one with fewer."""

    logs: int
    reason: str
    evidence: tuple[Evidence, ...] = ()


def observe_transparency(origin: Origin, tls: Spec) -> Transparency:
    """Count the logs whose timestamps stand in the certificate, and where logs are listed, verify each."""
    listed: str | None = getattr(tls, "ct_logs", None)
    logs = None if listed is None else read_logs(Path(listed))
    places, passed_over = at_each_address(origin, lambda place: list(_shown(place)))
    # Of one certificate the longest chain is kept, as that has the issuer if any has.
    seen = {shown[0]: shown for shown in sorted((each for place in places for each in place), key=len)}
    counted = [_counted(each, logs) for each in seen.values()]
    fewest, reason = min(counted)
    told = (Evidence(f"timestamps of logs in a certificate of {origin.url('/')}", each) for _, each in counted)
    return Transparency(fewest, reason, (*told, *passed_over))


def _shown(origin: Origin) -> Iterable[Chain]:
    """What everybody is shown, and what those are who know only one kind of key."""
    with handshake(origin, describing_context()) as connection:
        yield chain(origin, connection)
    for kind in ("aRSA", "aECDSA"):
        with suppress(RefusedError), handshake(origin, knowing_only(kind, describing_context())) as connection:
            yield chain(origin, connection)


def _counted(shown: Chain, logs: Mapping[bytes, Log] | None) -> tuple[int, str]:
    try:
        found = shown[0].extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps)
    except x509.ExtensionNotFound:
        return 0, "no timestamp stands in the certificate"
    except (ValueError, x509.DuplicateExtension) as error:
        return 0, f"what stands in the certificate can't be read: {error}"
    if logs is None:
        number = len({stamp.log_id for stamp in found.value})
        return number, f"timestamps of {number} logs, which were not verified"
    told, vouching = [], set()
    for stamp in found.value:
        log = logs.get(stamp.log_id)
        objection = "not a log of the list" if log is None else _objection(stamp, log, shown)
        told.append(f"{log.name if log else stamp.log_id.hex()[:12]}: {objection or 'verified'}")
        if not objection:
            vouching.add(stamp.log_id)
    return len(vouching), "; ".join(told)


def _objection(stamp: SignedCertificateTimestamp, log: Log, shown: Chain) -> str:
    signed_at = stamp.timestamp.replace(tzinfo=UTC)
    if signed_at > datetime.now(UTC):
        return "from the future"
    if log.until and signed_at >= log.until:
        return "the log was retired before"
    try:
        _verify(log.key, stamp, _signed_data(stamp, shown))
    except InvalidSignature:
        return "the signature is forged, or made for another certificate"
    except UnsupportedAlgorithm as error:
        raise CouldNotLook(f"a timestamp of {log.name} is signed in a way that is unknown here: {error}") from error
    return ""


def _signed_data(stamp: SignedCertificateTimestamp, shown: Chain) -> bytes:
    """What a log signs of a certificate before it is one (RFC 6962, 3.2)."""
    leaf = shown[0]
    issuer = next((each for each in shown[1:] if each.subject == leaf.issuer), None)
    if issuer is None:
        raise CouldNotLook(
            "the server doesn't send the certificate of the issuer, without whose key no timestamp can be verified",
            mend="serve the full chain",
        )
    key = issuer.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    body = leaf.tbs_precertificate_bytes
    since_ms = round(stamp.timestamp.replace(tzinfo=UTC).timestamp() * 1000)
    return b"".join(
        (
            b"\0\0",  # version 1; a timestamp of a certificate
            since_ms.to_bytes(8),
            b"\0\1",  # a precertificate
            hashlib.sha256(key).digest(),
            len(body).to_bytes(3) + body,
            len(stamp.extension_bytes).to_bytes(2) + stamp.extension_bytes,
        )
    )


def _verify(
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, stamp: SignedCertificateTimestamp, data: bytes
) -> None:
    """Logs sign with ECDSA on P-256 or with RSA, over SHA-256 (RFC 6962, 2.1.4)."""
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(stamp.signature, data, padding.PKCS1v15(), hashes.SHA256())
    else:
        key.verify(stamp.signature, data, ec.ECDSA(hashes.SHA256()))


def read_logs(path: Path) -> dict[bytes, Log]:
    """The logs that may vouch, by id, from a list as browsers publish it (log_list.json, version 3).

    CouldNotLook: the file can't be read, isn't such a list, or lists none that may.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        entries = [
            entry
            for operator in document["operators"]
            for entry in (*operator.get("logs", ()), *operator.get("tiled_logs", ()))
        ]
        logs = dict(_log(entry) for entry in entries if _may_vouch(entry))
    except OSError as error:
        wrong = f"the log list {path} can't be read: {error.strerror or error}"
    except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm) as error:
        wrong = f"{path} is not a log list of version 3: {type(error).__name__} {error}"
    else:
        if logs:
            return logs
        wrong = f"{path} lists no log that may vouch"
    raise CouldNotLook(wrong, cause=f"ct_logs:{path}", mend="point `ct_logs` at a log_list.json of version 3")


def _may_vouch(entry: Mapping[str, Any]) -> bool:
    return any(state in (*_TRUSTED, "retired") for state in entry["state"])


def _log(entry: Mapping[str, Any]) -> tuple[bytes, Log]:
    encoded = base64.b64decode(entry["key"], validate=True)
    key = serialization.load_der_public_key(encoded)
    if not isinstance(key, PublicKey):
        raise ValueError(f"the key of {entry['description']} is neither ECDSA nor RSA")
    retired = entry["state"].get("retired")
    until = datetime.fromisoformat(retired["timestamp"]) if retired else None
    # The id is the hash of the key (RFC 6962, 3.2), whatever the list says.
    return hashlib.sha256(encoded).digest(), Log(str(entry["description"]), key, until)


FACTS: Mapping[str, Callable[..., Any]] = {"transparency": observe_transparency}
