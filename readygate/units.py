"""Natural units as people write and read them: 26h, 512M, 85%, 60/min, 1.22."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from math import floor, isfinite, log10

from readygate.errors import Mistake

MINUTE, HOUR, DAY = 60, 3600, 86400

# The digits are bounded so that no text, however long, overflows into infinity.
_NUMBER = r"[0-9]{1,24}(?:\.[0-9]{1,12})?"
_SIGNED = re.compile(rf"[-+]?{_NUMBER}")
_DURATION = re.compile(
    r"\s*".join(rf"(?:({_NUMBER})\s*{unit})?" for unit in ("w", "d", "h", "m", "s", "ms", "us")),
)
_SECONDS = [Decimal(unit) for unit in (7 * DAY, DAY, HOUR, MINUTE, 1, "0.001", "0.000001")]
_SIZE = re.compile(rf"({_NUMBER})\s*([A-Za-z]*)")
_PERCENT = re.compile(rf"({_NUMBER})\s*%?")
_RATE = re.compile(rf"({_NUMBER})\s*/\s*([a-z]+)")
_PER = {"s": 1, "sec": 1, "second": 1, "m": MINUTE, "min": MINUTE, "minute": MINUTE}
_PER |= {"h": HOUR, "hour": HOUR, "d": DAY, "day": DAY}

# Docker and systemd read 512M as 512 * 1024 * 1024; only the letters kB, MB, GB mean powers of 1000.
_BINARY = {letter: 1024**power for power, letter in enumerate("KMGTP", start=1)}
_DECIMAL = {"kB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4, "PB": 1000**5}
_BYTES = {"": 1, "B": 1, "KB": 1000} | _DECIMAL
for _letter, _factor in _BINARY.items():
    _BYTES |= dict.fromkeys((_letter, _letter.lower(), f"{_letter}i", f"{_letter}iB"), _factor)


def as_written(raw: object) -> str:
    """What the user wrote, in one line, as YAML would put it."""
    match raw:
        case None:
            return "null"
        case bool():
            return str(raw).lower()
        case Mapping():
            return "{" + ", ".join(f"{as_written(key)}: {as_written(raw[key])}" for key in raw) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(as_written, raw)) + "]"
        case _:
            return str(raw)


def not_a(what: str, raw: object, mend: str = "") -> Mistake:
    """The Mistake that `raw` is not `what`."""
    shown = f"'{raw}'" if isinstance(raw, str) else as_written(raw)
    return Mistake(f"{shown} is not {what}", mend)


def plain(number: float) -> str:
    """A number without an exponent or a trailing zero, unless it is too large or small to read so."""
    if number and not 1e-9 <= abs(number) < 1e18:
        return f"{number:g}"
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def readable(number: float) -> float:
    """The number to four significant digits, and never less than to the whole."""
    if not number:
        return number
    return round(number, max(0, 3 - floor(log10(abs(number)))))


def parse_number(raw: object) -> float:
    """A finite number, as a number or as text; an int stays an int."""
    if isinstance(raw, int | float) and not isinstance(raw, bool) and isfinite(raw):
        return raw
    if isinstance(raw, str) and _SIGNED.fullmatch(raw.strip()):
        return float(raw) if "." in raw else int(raw)
    raise not_a("a number", raw, "write e.g. 5 or 0.5")


def parse_count(raw: object) -> int:
    """A whole number, as a number or as text."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and _SIGNED.fullmatch(raw.strip()) and "." not in raw:
        return int(raw)
    raise not_a("a whole number", raw, "write e.g. 5")


def parse_duration(raw: object) -> float:
    """Seconds from e.g. 26h, 200ms, 1h30m or 14d; units w d h m s ms us, from large to small."""
    if isinstance(raw, str) and (text := raw.strip()) and (found := _DURATION.fullmatch(text)):
        parts = zip(found.groups(), _SECONDS, strict=True)
        return float(sum(Decimal(amount) * unit for amount, unit in parts if amount))
    raise not_a("a duration", raw, "write e.g. 30d, 26h or 200ms")


def show_duration(seconds: float) -> str:
    """The duration as people write it, to the millisecond: 26h, 1h30m, 14d, 200ms."""
    if seconds < 0:
        return f"-{show_duration(-seconds)}"
    if 0 < seconds < 0.001:
        return f"{plain(round(seconds * 1e6, 6))}us"
    if 0 < seconds < 1:
        return f"{plain(round(seconds * 1e3, 6))}ms"
    if seconds < MINUTE:
        return f"{plain(round(seconds, 6))}s"
    rest = round(seconds, 3)
    # People say 26h and 36h, but 4d4h.
    units = {"d": DAY} if rest >= 2 * DAY or rest % DAY == 0 else {}
    parts = []
    for unit, length in (units | {"h": HOUR, "m": MINUTE}).items():
        whole, rest = divmod(rest, length)
        parts.append((whole, unit))
    parts.append((round(rest, 3), "s"))
    return "".join(f"{plain(amount)}{unit}" for amount, unit in parts if amount)


def readable_duration(seconds: float) -> float:
    """The duration to the precision that people care for at its length."""
    for length, step in ((DAY, HOUR), (HOUR, MINUTE), (MINUTE, 1)):
        if abs(seconds) >= length:
            return round(seconds / step) * step
    return readable(seconds)


def parse_size(raw: object) -> int:
    """Bytes from e.g. 512M, 1.5GiB, 10kB or 800.

    K, M, G, T, P are powers of 1024, as for docker and systemd, and so are Ki and KiB; kB, MB, GB, TB, PB are
    powers of 1000. A fraction is rounded to the byte.
    """
    mend = "write e.g. 512M, 1.5G or 10kB"
    if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0:
        return raw
    if isinstance(raw, str) and (found := _SIZE.fullmatch(raw.strip())):
        amount, factor = Decimal(found[1]), _BYTES.get(found[2])
        if factor is not None and (factor > 1 or "." not in found[1]):
            return round(amount * factor)
    raise not_a("a size", raw, mend)


def show_size(size: int) -> str:
    """The size exactly, in the unit that makes it shortest: 512M, 1.5G, 10kB, 801B."""
    if size < 0:
        return f"-{show_size(-size)}"
    for unit, factor in [*reversed(_BINARY.items()), *reversed(_DECIMAL.items())]:
        amount = plain(round(size / factor, 2))
        if size >= factor and round(Decimal(amount) * factor) == size:
            return f"{amount}{unit}"
    return f"{size}B"


def readable_size(size: int) -> int:
    """The size to a hundredth of its binary unit."""
    factor = max((factor for factor in _BINARY.values() if factor <= abs(size)), default=1)
    return round(Decimal(str(round(size / factor, 2))) * factor)


def parse_percent(raw: object) -> float:
    """Per cent from e.g. 85% or a bare 85."""
    if isinstance(raw, int | float) and not isinstance(raw, bool) and isfinite(raw):
        return float(raw)
    if isinstance(raw, str) and (found := _PERCENT.fullmatch(raw.strip())):
        return float(found[1])
    raise not_a("a percentage", raw, "write e.g. 85%")


def show_percent(percent: float) -> str:
    """The percentage, e.g. 85%."""
    return f"{plain(percent)}%"


def parse_rate(raw: object) -> float:
    """Events per second from e.g. 60/min, 1000/s or 5/h."""
    if isinstance(raw, str) and (found := _RATE.fullmatch(raw.strip())) and found[2] in _PER:
        return float(found[1]) / _PER[found[2]]
    raise not_a("a rate", raw, "write e.g. 60/min, 1000/s or 5/h")


def show_rate(per_second: float) -> str:
    """The rate in the period that people would take: 1000/s, 60/min, 5/h."""
    if per_second < 0:
        return f"-{show_rate(-per_second)}"
    periods = {"s": 1, "min": MINUTE, "h": HOUR, "d": DAY}
    # What was measured is a decimal a second; that 60 times as much is a whole number means nothing then.
    if per_second >= 10 and abs(per_second - round(per_second, 1)) < 1e-9:
        return f"{plain(round(per_second, 1))}/s"
    for unit, seconds in periods.items():
        amount = per_second * seconds
        # 60/min and 1/s are the same rate; people who limit rates say the former.
        if amount > 1 and abs(amount - round(amount)) < 1e-9 * amount:
            return f"{round(amount)}/{unit}"
        if seconds == MINUTE and per_second >= 1:
            break
    unit = next((unit for unit, seconds in periods.items() if per_second * seconds >= 1), "d")
    # Twelve digits are what is left of a float after the division by the period.
    return f"{plain(float(f'{per_second * periods[unit]:.12g}'))}/{unit}"


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version that compares by its upstream part; 1.22 and 1.22.0 are equal."""

    key: tuple[tuple[int, ...], int, str, int] = field(repr=False)
    text: str = field(compare=False)

    def __str__(self) -> str:
        return self.text


_VERSION = re.compile(
    r"(?:[0-9]+:)?v?(?P<numbers>[0-9]{1,18}(?:\.[0-9]{1,18})*)"
    r"(?P<suffix>(?P<join>[-._~]?)(?P<word>[A-Za-z]*)\.?(?P<serial>[0-9]{0,18})[-.+~:\w]*)?"
)
_BEFORE_RELEASE = {"dev": -5, "a": -4, "alpha": -4, "b": -3, "beta": -3, "pre": -2, "preview": -2}
_BEFORE_RELEASE |= {"snapshot": -2, "c": -1, "rc": -1}


def parse_version(raw: object) -> Version:
    """A version of which the upstream part is compared, number by number.

    - A Debian epoch and packaging revision say nothing of the software: 1:9.6-2+deb12u1 equals 9.6.
    - Before the release: 2.0rc1, 2.0-beta.2, 3.13.0a1, and whatever follows a `~`, as Debian orders it.
    - After the release: a letter or word joined to the number, as in OpenSSL's 1.1.1k and OpenSSH's 9.2p1.
    - Any other suffix is packaging and not compared: 16-alpine equals 16.
    """
    if isinstance(raw, Version):
        return raw
    mend = 'write e.g. "1.22", in quotes'
    if isinstance(raw, float):
        raise Mistake(f"{raw} is a number, and a number loses the last zero of 1.10", mend)
    text = str(raw).strip() if isinstance(raw, str | int) and not isinstance(raw, bool) else ""
    # PostgreSQL reports "16.3 (Debian 16.3-1.pgdg120+1)".
    found = _VERSION.fullmatch(text.partition(" ")[0])
    if not found:
        raise not_a("a version", raw, mend)
    numbers = [int(number) for number in found["numbers"].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    word, serial = found["word"].lower(), int(found["serial"] or 0)
    patch_letter = not found["join"] and len(word) == 1 and not found["serial"]
    if word in _BEFORE_RELEASE and not patch_letter:
        stage = (_BEFORE_RELEASE[word], "", serial)
    elif found["join"] == "~":
        stage = (min(_BEFORE_RELEASE.values()) - 1, word, serial)
    elif word and (not found["join"] or word == "post"):
        stage = (1, word, serial)
    else:
        stage = (0, "", 0)
    return Version((tuple(numbers), *stage), text)
