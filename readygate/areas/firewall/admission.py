"""Whom a firewall lets in to which port, compared with what was declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from readygate.areas.firewall.allowances import Allowance
from readygate.areas.firewall.ranges import NOBODY, Ranges
from readygate.areas.firewall.rules import Knock, Ruleset, Verdict, everybody
from readygate.areas.firewall.surroundings import Surroundings

_MOST_NAMED = 3
PROTOCOLS = ("tcp", "udp")


@dataclass(frozen=True, slots=True)
class Gap:
    """Ports that one view lets in to other peers than declared; `beyond` tells too many from too few."""

    first: int
    last: int
    protocol: str
    family: int
    peers: Ranges
    beyond: bool

    @property
    def ports(self) -> str:
        return (
            f"{self.first}-{self.last}/{self.protocol}" if self.last > self.first else f"{self.first}/{self.protocol}"
        )

    def text(self) -> str:
        return f"{self.ports}{_from(self.peers, self.family)}"


@dataclass(frozen=True, slots=True)
class View:
    """How one source, the loaded rules or a tool, compares with the declaration; `doubts` are not understood."""

    name: str
    families: tuple[int, ...]
    gaps: tuple[Gap, ...]
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Admission:
    """What is let in: those of the declared ports that are, and whatever else is, with who says so."""

    allowed: tuple[str, ...]
    reason: str
    doubt: str = ""
    beyond: tuple[Gap, ...] = ()


def compare(views: Sequence[View], declared: Sequence[Allowance]) -> Admission:
    """What all views agree to be let in as declared, beside what any of them lets in beyond it."""
    missing = [gap for view in views for gap in view.gaps if not gap.beyond]
    kept = [str(each) for each in declared if not any(_is_about(gap, each) for gap in missing)]
    beyond = dict.fromkeys(text for view in views for text in _told(view, views, beyond=True))
    short = dict.fromkeys(text for view in views for text in _told(view, views, beyond=False))
    reasons = []
    if short:
        reasons.append(f"kept out: {'; '.join(short)}")
    if beyond:
        reasons.append(f"let in, though nobody declared it: {'; '.join(beyond)}")
    doubt = next((doubt for view in views for doubt in view.doubts), "")
    gaps = tuple(gap for view in views for gap in view.gaps if gap.beyond)
    return Admission((*kept, *beyond), ". ".join(reasons), "" if reasons else doubt, gaps)


def view_of(name: str, rules: Ruleset, around: Surroundings, declared: Sequence[Allowance]) -> View:
    """Where these rules differ from the declaration, port by port and for all peers at once."""
    starts, around = port_starts([rules], declared), _with_addresses_told_apart(rules, around)
    gaps: list[Gap] = []
    doubts: dict[str, None] = {}
    for family in around.families:
        for protocol in PROTOCOLS:
            for first, last in _spans(starts):
                fate = rules.fate(knock_of(family, protocol, first, around))
                wanted = _wanted(declared, family, protocol, first)
                allowed = fate.surely(Verdict.ALLOW)
                # Whoever was banned one by one is kept out rightly.
                short = _networks_only(wanted - fate.perhaps(Verdict.ALLOW))
                for peers, beyond in ((allowed - wanted, True), (short, False)):
                    if peers:
                        gaps.append(Gap(first, last, protocol, family, peers, beyond))
                if fate.perhaps(Verdict.ALLOW) - allowed:
                    doubts[f"what becomes of {first}/{protocol} hangs on: {fate.doubt}"] = None
    return View(name, around.families, tuple(_joined(gaps)), tuple(doubts))


def knock_of(family: int, protocol: str, port: int, around: Surroundings, *, outgoing: bool = False) -> Knock:
    return Knock(family, protocol, port, around.own[family], around.interfaces[family] or None, outgoing)


def default_of(rules: Ruleset, around: Surroundings, family: int, *, outgoing: bool) -> Verdict | str:
    """What becomes of most: the verdict for the widest range of ports and peers that no rule is about.

    Where that isn't known, the rule that it hangs on.
    """
    first = max(_spans(port_starts([rules], ())), key=lambda span: span[1] - span[0])[0]
    around = _with_addresses_told_apart(rules, around)
    found: set[Verdict] = set()
    for protocol in PROTOCOLS:
        fate = rules.fate(knock_of(family, protocol, first, around, outgoing=outgoing))
        most = max((fate.surely(verdict).size, verdict) for verdict in Verdict)
        if fate.undetermined.size > most[0]:
            return fate.doubt
        found.add(most[1])
    return Verdict.ALLOW if Verdict.ALLOW in found else min(found)


def _with_addresses_told_apart(rules: Ruleset, around: Surroundings) -> Surroundings:
    """Of the host's own addresses only one for each way in which the rules may treat them."""
    named = {match for rule in rules.rules() for match in rule.matches if match.field in ("source", "destination")}

    def kept(family: int) -> tuple[int, ...]:
        of_it = [match.ranges for match in named if match.family == family]
        return tuple({tuple(each in one for one in of_it): each for each in around.own[family]}.values())

    return replace(around, own={family: kept(family) for family in around.families})


def port_starts(rulesets: Iterable[Ruleset], declared: Iterable[Allowance]) -> list[int]:
    """The ports at which anything may change; between two of them all ports are treated alike."""
    starts = {1}
    for span in (
        *((each.first, each.last) for each in declared),
        *(
            span
            for rules in rulesets
            for rule in rules.rules()
            for match in rule.matches
            if match.field == "port"
            for span in match.ranges.spans
        ),
    ):
        starts |= {span[0], span[1] + 1}
    return sorted(start for start in starts if 0 < start < 65536)


def _spans(starts: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip(starts, [*(start - 1 for start in starts[1:]), 65535], strict=True)


def _wanted(declared: Iterable[Allowance], family: int, protocol: str, port: int) -> Ranges:
    peers = NOBODY
    for each in declared:
        if each.protocol == protocol and each.first <= port <= each.last:
            peers |= each.peers(family)
    return peers & everybody(family)


def _networks_only(peers: Ranges) -> Ranges:
    return Ranges(tuple((first, last) for first, last in peers.spans if last > first))


def _joined(gaps: Iterable[Gap]) -> Iterator[Gap]:
    """Gaps of neighbouring ports that are otherwise alike, as one."""
    open_: Gap | None = None
    for gap in sorted(gaps, key=lambda each: (each.beyond, each.family, each.protocol, each.first)):
        alike = open_ and (open_.beyond, open_.family, open_.protocol, open_.peers) == (
            gap.beyond, gap.family, gap.protocol, gap.peers,
        )  # fmt: skip
        if open_ and alike and gap.first == open_.last + 1:
            open_ = Gap(open_.first, gap.last, gap.protocol, gap.family, gap.peers, gap.beyond)
            continue
        if open_:
            yield open_
        open_ = gap
    if open_:
        yield open_


def _told(view: View, views: Sequence[View], *, beyond: bool) -> Iterator[str]:
    """Each gap of a view in words, with its family and the view where not all share it."""
    by_text: dict[str, set[int]] = {}
    for gap in view.gaps:
        if gap.beyond is beyond:
            by_text.setdefault(gap.text(), set()).add(gap.family)
    for text, of in by_text.items():
        is_named = " from " in text and not text.endswith(" from elsewhere")
        over = "" if is_named or of == set(view.families) else f" over IPv{min(of)}"
        shared = all(any(gap.text() == text and gap.beyond is beyond for gap in each.gaps) for each in views)
        yield text + over + ("" if shared and len(views) > 1 else f" by {view.name}")


def _is_about(gap: Gap, allowance: Allowance) -> bool:
    in_reach = gap.first <= allowance.last and gap.last >= allowance.first
    return gap.protocol == allowance.protocol and in_reach and bool(gap.peers & allowance.peers(gap.family))


def _from(peers: Ranges, family: int) -> str:
    if peers == everybody(family):
        return ""
    # The rest of everybody reads best as what it is.
    if peers.size * 2 > everybody(family).size:
        return " from elsewhere"
    networks = [str(each).removesuffix("/32").removesuffix("/128") for each in peers.networks(family)]
    more = f" and {len(networks) - _MOST_NAMED} more" if len(networks) > _MOST_NAMED else ""
    return f" from {', '.join(networks[:_MOST_NAMED])}{more}"
