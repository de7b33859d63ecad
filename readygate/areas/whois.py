"""How long a domain is still registered, as whois tells (RFC 3912)."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from readygate.errors import CouldNotLook
from readygate.results import Evidence

_ROOT = "whois.iana.org"
_PORT = 43
_LONGEST = 100_000

# Each registry writes as it likes; these are the labels of the large ones.
_LABELS = (
    "registry expiry date|registrar registration expiration date|expiry date|expiration date|expiration time|"
    "expires(?: on)?|expire(?:-date)?|paid-till|valid until|validity|renewal date"
)
_ENDS = re.compile(rf"^\s*\[?(?:{_LABELS})\s*[:.\]]+\s*(?P<date>\S.*)$", re.I | re.M)
_REFERRAL = re.compile(r"^\s*(?:refer|whois):\s*(\S+)\s*$", re.I | re.M)
_NUMBERS = re.compile(r"(\d{4})([-./]?)(\d{2})\2(\d{2})(?!\d)")
_NAMED = re.compile(r"(\d{1,2})[- ]([A-Za-z]{3})[a-z]*[- ](\d{4})")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True, slots=True)
class Registration:
    """The day that a domain's registration ends, and how long that is from now."""

    ends: date
    left: timedelta
    evidence: tuple[Evidence, ...] = ()


def ask_registration(name: str, host: str | None, port: int | None, timeout_s: float) -> Registration:
    """Ask this server, or the one that IANA names for the top-level domain.

    CouldNotLook: none answers, or what it answers tells no end that can be understood.
    """
    if host is None:
        referral = _REFERRAL.search(_answer(name.rpartition(".")[2], _ROOT, _PORT, timeout_s))
        if referral is None:
            raise CouldNotLook(f"{_ROOT} knows no whois server for {name}", mend="write it under `whois`")
        host = referral[1]
    said = _answer(name, host, port or _PORT, timeout_s)
    found = [(line[0].strip(), _day(line["date"])) for line in _ENDS.finditer(said)]
    days = [day for _, day in found if day is not None]
    if not days or len(days) < len(found):
        strange = next((line for line, day in found if day is None), "there is no such line")
        raise CouldNotLook(
            f"{host} tells no end of {name}'s registration that can be understood: {strange}",
            mend="see what `whois` says, and attest it where no machine can read it",
        )
    ends = min(days)
    left = datetime(ends.year, ends.month, ends.day, tzinfo=UTC) - datetime.now(UTC)
    return Registration(ends, left, (Evidence(f"whois {name} at {host}", "; ".join(line for line, _ in found)),))


def _answer(question: str, host: str, port: int, timeout_s: float) -> str:
    held = b""
    try:
        with socket.create_connection((host, port), timeout_s) as line:
            line.sendall(f"{question}\r\n".encode())
            while len(held) < _LONGEST and (chunk := line.recv(8192)):
                held += chunk
    except OSError as error:
        raise CouldNotLook(
            f"the whois server {host} can't be asked: {error}",
            cause=f"whois:{host}",
            mend="see that this machine may connect to its port 43",
        ) from error
    return held.decode(errors="replace")


def _day(text: str) -> date | None:
    """None where it could be read in two ways, such as 03/04/2027."""
    try:
        if found := _NUMBERS.search(text):
            return date(int(found[1]), int(found[3]), int(found[4]))
        if (found := _NAMED.search(text)) and found[2].lower() in _MONTHS:
            return date(int(found[3]), _MONTHS.index(found[2].lower()) + 1, int(found[1]))
    except ValueError:
        pass
    return None
