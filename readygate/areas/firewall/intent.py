"""What ufw says that it lets in: its own words, read as rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from readygate.areas.firewall.ranges import ranges, span_of
from readygate.areas.firewall.rules import CALM, UNKNOWN, Chain, Match, Rule, Ruleset, Verdict

_UFW = {"allow": Verdict.ALLOW, "deny": Verdict.DENY, "reject": Verdict.REJECT, "limit": Verdict.ALLOW}
_UFW_RULE = re.compile(
    r"^(?P<to>\S.*?) +(?P<action>ALLOW|DENY|REJECT|LIMIT)(?: (?P<way>IN|OUT|FWD))? +(?P<peer>\S.*)$"
)
BOTH = frozenset({4, 6})


@dataclass(frozen=True, slots=True)
class Intent:
    """What the tool in charge was told; `rules` is None where there is no such tool, or it is switched off."""

    tool: str
    rules: Ruleset | None


def parse_ufw(status: str) -> Intent:
    """What `ufw status verbose` prints."""
    if "Status: active" not in status:
        return Intent("ufw", None)
    defaults = {way: policy for policy, way in re.findall(r"(\w+) \((incoming|outgoing)\)", status)}
    rules: dict[str, list[Rule]] = {"input": [], "output": []}
    for line in status.partition("\n--")[2].splitlines()[1:]:
        if not (found := _UFW_RULE.match(line.partition(" # ")[0].rstrip())) or found["way"] == "FWD":
            continue
        ends = (found["to"], found["peer"]) if found["way"] != "OUT" else (found["peer"], found["to"])
        matches = [_family(line), *_ufw_end(ends[0], "destination"), *_ufw_end(ends[1], "source")]
        if found["action"] == "LIMIT":
            matches.append(CALM)
        hook = "output" if found["way"] == "OUT" else "input"
        rules[hook].append(Rule(tuple(matches), _UFW[found["action"].lower()], " ".join(line.split())))
    policies = {"input": defaults.get("incoming", "deny"), "output": defaults.get("outgoing", "deny")}
    return Intent(
        "ufw",
        Ruleset({hook: Chain(hook, BOTH, tuple(rules[hook]), hook, policy=_UFW[policies[hook]]) for hook in rules}),
    )


def _family(text: str) -> Match:
    is_six = "(v6)" in text or re.search(r"[0-9a-f]*:[0-9a-f]*:", text)
    return Match("family", names=frozenset({"6" if is_six else "4"}))


def _ufw_end(text: str, side: str) -> Iterator[Match]:
    """One end of a rule: `22/tcp`, `80,443/tcp (Nginx Full)`, `10.0.0.1 22/tcp on eth1`, `Anywhere (v6)`."""
    words, _, interface = re.sub(r"\s*\([^)]*\)", "", text).strip().partition(" on ")
    if interface:
        yield Match("in" if side == "destination" else "out", names=frozenset({interface.strip()}))
    for word in words.split():
        bare, slash, protocol = word.rpartition("/")
        if slash and protocol in ("tcp", "udp", "ah", "esp", "gre", "ipv6", "igmp"):
            yield Match("protocol", names=frozenset({protocol}))
            word = bare
        if word == "Anywhere":
            continue
        if re.fullmatch(r"[\d,:]+", word) and not word.startswith(":") and "::" not in word:
            spans = [part.partition(":") for part in word.split(",")]
            numbers = ranges(*((int(first), int(last or first)) for first, _, last in spans))
            yield Match("port" if side == "destination" else "source port", numbers)
        else:
            yield network(side, word)


def network(side: str, text: str) -> Match:
    """The peers, or own addresses, of a network; what is none is not understood."""
    try:
        family, span = span_of(text)
    except ValueError:
        return UNKNOWN
    return Match(side, ranges(span), family=family)
