"""What the rules of a firewall make of a new connection: rules, chains, and the walk through them.

The walk is made for all peers at once: at each rule the peers part into those that match and those that don't. A
match that is not understood parts nobody: whoever gets there may end either way, and is undetermined.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from fnmatch import fnmatchcase
from ipaddress import ip_address

from readygate.areas.firewall.ranges import NOBODY, Ranges, ranges

_DEEPEST = 64  # Chains in chains; the kernel refuses more than 16 in nft.
_MULTICAST = {4: ranges((224 << 24, (1 << 32) - 1)), 6: ranges((0xFF << 120, (1 << 128) - 1))}


class Verdict(StrEnum):
    """How a packet ends, in the words of ufw."""

    ALLOW = "allow"
    DENY = "deny"
    REJECT = "reject"


class Flow(Enum):
    """What a rule may do besides ending it."""

    RETURN = "return"
    UNTRACK = "untrack"


@dataclass(frozen=True, slots=True)
class Jump:
    """On to another chain; `goto` does not come back."""

    chain: str
    comes_back: bool = True


@dataclass(frozen=True, slots=True)
class Divert:
    """On to another address or port (DNAT); without an address to a port of the host itself.

    Where it leads to is not known of one that is to a range, or by a map.
    """

    address: str | None
    port: int | None
    is_known: bool = True


ELSEWHERE = Divert(None, None, is_known=False)


Action = Verdict | Flow | Jump | Divert | None


@dataclass(frozen=True, slots=True)
class Match:
    """One condition of a rule.

    `field` is protocol, port, source port, source, destination, in, out, state, status, family or destination
    type; or "calm" for a limit that whoever doesn't hurry keeps within, "never" for its opposite, and "?" for
    what is not understood. Addresses are of one `family`.
    """

    field: str
    ranges: Ranges = NOBODY
    names: frozenset[str] = frozenset()
    family: int = 0
    negated: bool = False

    def lies_within(self, other: Match) -> bool:
        """Whether all that this matches is matched by the other, too."""
        if self.field in ("calm", "never", "?") or (self.field, self.family) != (other.field, other.family):
            return False
        if self.negated or other.negated:
            return self == other
        return self.names <= other.names and not self.ranges - other.ranges


CALM = Match("calm")
UNKNOWN = Match("?")
NEVER = Match("never")


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to a packet that matches all of it; `text` is how the host has it."""

    matches: tuple[Match, ...]
    action: Action
    text: str

    @property
    def ends_it(self) -> bool:
        return isinstance(self.action, Verdict) or (isinstance(self.action, Jump) and not self.action.comes_back)

    def covers(self, other: Rule) -> bool:
        """Whether nothing is left for the other rule where this one stands before it."""
        return all(any(theirs.lies_within(ours) for theirs in other.matches) for ours in self.matches)


def undetermined(matches: Iterable[Match], text: str) -> tuple[Rule, ...]:
    """A rule of which nobody can say here what it does."""
    known = (*matches, UNKNOWN)
    return Rule(known, Verdict.ALLOW, text), Rule(known, Verdict.DENY, text)


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in their order; a base chain has a hook, a priority and a policy."""

    name: str
    families: frozenset[int]
    rules: tuple[Rule, ...] = ()
    hook: str = ""
    priority: int = 0
    policy: Verdict = Verdict.ALLOW


@dataclass(frozen=True, slots=True)
class Knock:
    """A new connection, from all peers at once.

    `own` are the host's addresses of the family, of which it is to one. `interfaces` are the peers behind each
    interface, by the routes; None where these are not known. A diverted packet may be forwarded, and then
    `leaves_by` an interface. One that some rule keeps from being tracked may be in the state of those, which is not
    new.
    """

    family: int
    protocol: str
    port: int
    own: tuple[int, ...] | None = None
    interfaces: Mapping[str, Ranges] | None = None
    outgoing: bool = False
    diverted: bool = False
    forwarded: bool = False
    leaves_by: str | None = None
    may_be_untracked: bool = False


@dataclass(frozen=True, slots=True)
class Fate:
    """Who may end how. Whoever is in two of the verdicts is undetermined, and `doubt` is the rule behind it."""

    ends: Mapping[Verdict, Ranges]
    doubt: str = ""

    def perhaps(self, verdict: Verdict) -> Ranges:
        return self.ends.get(verdict, NOBODY)

    def surely(self, verdict: Verdict) -> Ranges:
        return self.ends.get(verdict, NOBODY) - self.undetermined

    @property
    def undetermined(self) -> Ranges:
        allowed = self.ends.get(Verdict.ALLOW, NOBODY)
        denied, rejected = self.ends.get(Verdict.DENY, NOBODY), self.ends.get(Verdict.REJECT, NOBODY)
        return (allowed & denied) | (allowed & rejected) | (denied & rejected)


def everybody(family: int) -> Ranges:
    """Every address that a peer from outside can have: no loopback, and no multicast."""
    if family == 4:
        return ranges((1, (127 << 24) - 1), (128 << 24, (224 << 24) - 1))
    return ranges((2, (0xFF << 120) - 1))


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All chains of a host, by their full names."""

    chains: Mapping[str, Chain] = field(default_factory=dict)

    def based(self, hook: str, family: int) -> list[Chain]:
        """The base chains of a hook, in the order in which the kernel asks them."""
        found = [chain for chain in self.chains.values() if chain.hook == hook and family in chain.families]
        return sorted(found, key=lambda chain: chain.priority)

    def rules(self) -> Iterator[Rule]:
        for chain in self.chains.values():
            yield from chain.rules

    def fate(self, knock: Knock) -> Fate:
        """What becomes of a new connection, by its peer. Whom one of the host's addresses lets in is let in."""
        fates = [self._fate_at(replace(knock, own=(each,))) for each in knock.own or ()] or [self._fate_at(knock)]
        allowed = ranges(*(span for fate in fates for span in fate.surely(Verdict.ALLOW).spans))
        ends = {
            verdict: ranges(*(span for fate in fates for span in fate.ends.get(verdict, NOBODY).spans))
            for verdict in Verdict
        }
        ends |= {verdict: ends[verdict] - allowed for verdict in (Verdict.DENY, Verdict.REJECT)}
        return Fate(ends, next((fate.doubt for fate in fates if fate.doubt), "the address that it is to"))

    def _fate_at(self, knock: Knock) -> Fate:
        walk = _Walk(self, {}, [])
        everyone = everybody(knock.family)
        if any(rule.action is Flow.UNTRACK and _matched(rule, everyone, knock)[0] for rule in self.rules()):
            knock = replace(knock, may_be_untracked=True)
        if knock.outgoing:
            walk.end(Verdict.ALLOW, walk.ask(("output",), everyone, knock)[0])
        else:
            arrived, diverted = walk.ask(("ingress", "prerouting"), everyone, knock)
            walk.end(Verdict.ALLOW, walk.ask(("input",), arrived, knock)[0])
            for divert, peers in diverted.items():
                if not divert.is_known:
                    walk.end(Verdict.ALLOW, peers)
                    walk.end(Verdict.DENY, peers)
                    continue
                led = _led(knock, divert)
                hook = "forward" if led.forwarded else "input"
                walk.end(Verdict.ALLOW, walk.ask((hook,), peers, led)[0])
        return Fate(walk.ends, walk.doubts[0] if walk.doubts else "")

    def asked(self, hook: str, family: int | None = None) -> list[Chain]:
        """The chains of a hook and all that they lead to, but for what nobody knows whether it applies."""
        found: dict[str, Chain] = {}
        waiting = [each for each in self.chains.values() if each.hook == hook and family in (None, *each.families)]
        while waiting:
            chain = waiting.pop()
            if chain.name not in found:
                found[chain.name] = chain
                jumps = (
                    rule.action.chain
                    for rule in chain.rules
                    if isinstance(rule.action, Jump) and rule.matches != (UNKNOWN,)
                )
                waiting.extend(self.chains[name] for name in jumps if name in self.chains)
        return list(found.values())

    def shadowed(self) -> tuple[Rule, ...]:
        """The rules for incoming packets that never get any, since one before them ends all that they match."""
        return tuple(
            rule
            for chain in self.asked("input")
            for number, rule in enumerate(chain.rules)
            if rule.action not in (None, Flow.UNTRACK)
            and any(before.ends_it and before.covers(rule) for before in chain.rules[:number])
        )


def _led(knock: Knock, divert: Divert) -> Knock:
    port = divert.port or knock.port
    if divert.address is None:
        return replace(knock, port=port, diverted=True)
    goal = int(ip_address(divert.address))
    behind = (name for name, peers in (knock.interfaces or {}).items() if goal in peers)
    return replace(knock, port=port, own=(goal,), diverted=True, forwarded=True, leaves_by=next(behind, None))


@dataclass(slots=True)
class _Walk:
    ruleset: Ruleset
    ends: dict[Verdict, Ranges]
    doubts: list[str]

    def end(self, verdict: Verdict, peers: Ranges) -> None:
        if peers:
            self.ends[verdict] = self.ends.get(verdict, NOBODY) | peers

    def ask(self, hooks: Iterable[str], peers: Ranges, knock: Knock) -> tuple[Ranges, dict[Divert, Ranges]]:
        """Who gets through all chains of the hooks, and who is led elsewhere by them."""
        led: dict[Divert, Ranges] = {}
        for chain in (chain for hook in hooks for chain in self.ruleset.based(hook, knock.family)):
            ends, left = self._through(chain, peers, knock, 0)
            if left:
                ends[chain.policy] = ends.get(chain.policy, NOBODY) | left
            for action, who in ends.items():
                if isinstance(action, Divert):
                    led[action] = led.get(action, NOBODY) | who
                elif action is not Verdict.ALLOW:
                    self.end(action, who)
            peers = ends.get(Verdict.ALLOW, NOBODY)
        return peers, led

    def _through(
        self, chain: Chain, peers: Ranges, knock: Knock, depth: int
    ) -> tuple[dict[Verdict | Divert, Ranges], Ranges]:
        """Who ends how in a chain, and who comes out of it at its end."""
        ends: dict[Verdict | Divert, Ranges] = {}
        returned = NOBODY
        for rule in chain.rules:
            if not peers:
                break
            if rule.action in (None, Flow.UNTRACK):
                continue
            matched, is_sure = _matched(rule, peers, knock)
            if not matched:
                continue
            if not is_sure or rule.action == ELSEWHERE:
                self.doubts.append(rule.text)
            back = NOBODY
            match rule.action:
                case Flow.RETURN:
                    returned |= matched
                case Jump(name, comes_back):
                    target = self.ruleset.chains.get(name)
                    if target is None or depth > _DEEPEST:
                        inner: dict[Verdict | Divert, Ranges] = {Verdict.ALLOW: matched, Verdict.DENY: matched}
                        out = NOBODY
                        self.doubts.append(rule.text)
                    else:
                        inner, out = self._through(target, matched, knock, depth + 1)
                    for action, who in inner.items():
                        ends[action] = ends.get(action, NOBODY) | who
                    if comes_back:
                        back = out
                    else:
                        returned |= out
                case Verdict() | Divert() as action:
                    ends[action] = ends.get(action, NOBODY) | matched
            if is_sure:
                peers = (peers - matched) | back
        return ends, returned | peers


def _matched(rule: Rule, peers: Ranges, knock: Knock) -> tuple[Ranges, bool]:
    """Those of the peers that may match the rule, and whether they do for sure."""
    is_sure = True
    for match in rule.matches:
        found = _peers_of(match, knock)
        if found is None:
            is_sure = False
        elif isinstance(found, bool):
            if found is match.negated:
                return NOBODY, True
        else:
            peers = peers - found if match.negated else peers & found
        if not peers:
            return NOBODY, True
    return peers, is_sure


def _peers_of(match: Match, knock: Knock) -> Ranges | bool | None:
    """Whose packets the condition, not negated, is true of: some peers, all, none, or None for nobody knows."""
    match match.field:
        case "calm" | "never" as limit:
            return limit == "calm"
        case "protocol":
            return knock.protocol in match.names
        case "port":
            return knock.port in match.ranges
        case "source port":
            return _source_port(match.ranges, knock)
        case "family":
            return str(knock.family) in match.names
        case "state":
            is_new, is_untracked = "new" in match.names, "untracked" in match.names
            if knock.may_be_untracked and is_new is not is_untracked:
                return None
            return is_new or (knock.diverted and "dnat" in match.names)
        case "status":
            return knock.diverted and "dnat" in match.names
        case "destination type":
            return not (knock.forwarded or knock.outgoing) and "local" in match.names
        case "source" | "destination" as side:
            if match.family != knock.family:
                return False
            if (side == "source") is not knock.outgoing:
                return match.ranges
            if not match.ranges - _MULTICAST[knock.family]:
                return False
            return _all_or_none(address in match.ranges for address in knock.own or ())
        case "in" | "out" as way:
            return _interface(match.names, way, knock)
    return None


def _source_port(ports: Ranges, knock: Knock) -> bool | None:
    """Whoever knocks may choose it, so it keeps nobody out; but answers of DHCP are no new connections."""
    is_dhcp = (knock.protocol, knock.port, ports.spans) in (("udp", 68, ((67, 67),)), ("udp", 546, ((547, 547),)))
    return False if is_dhcp else None


def _interface(names: frozenset[str], way: str, knock: Knock) -> Ranges | bool | None:
    if names == {"lo"}:
        return False
    if (way == "out") is not knock.outgoing:
        if way == "in" or not knock.forwarded:
            return False
        return None if knock.leaves_by is None else _named(knock.leaves_by, names)
    if knock.interfaces is None:
        return None
    return ranges(*(s for name, peers in knock.interfaces.items() if _named(name, names) for s in peers.spans))


def _named(name: str, patterns: frozenset[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _all_or_none(answers: Iterable[bool]) -> bool | None:
    given = set(answers)
    return given.pop() if len(given) == 1 else None
