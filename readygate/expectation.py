"""An expectation: what one line of the inventory demands of one fact, the judgement of it, and its fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, PlainValidator, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from readygate import units
from readygate.conditions import (
    Bare,
    Conditions,
    Exactly,
    check_keys,
    parse_conditions,
    refuse_looser_warning,
    rooms,
)
from readygate.errors import Mistake
from readygate.kinds import (
    ANY,
    COUNT,
    DURATION,
    FLAG,
    MEMBERS,
    MODE,
    NUMBER,
    PERCENT,
    RATE,
    SIZE,
    STATUS,
    TEXT,
    VERSION,
    Kind,
    Value,
    unlike,
)
from readygate.units import as_written

# A fact may be a whole response body; a report has room for its beginning.
_LONGEST = 200


class Level(StrEnum):
    """How well a fact meets an expectation."""

    MET = "met"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was expected, what was there, and how far it is from failing.

    `margin` is for people ("12d left", "3.1% over", "missing ufw"). `headroom` is the same distance as a
    ratio of the limit, negative beyond it, and None where there is no distance to speak of.
    """

    level: Level
    expected: str
    actual: str
    margin: str | None = None
    headroom: float | None = None

    def __bool__(self) -> bool:
        return self.level is not Level.FAIL


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is demanded of one fact; `text` is how the inventory has it.

    >>> from readygate.kinds import DURATION
    >>> expectation = Expectation.parse({"warn": "30d", "fail": "14d"}, DURATION, bare=">=")
    >>> expectation.judge(20 * 86400).level
    <Level.WARN: 'warn'>
    """

    text: str
    kind: Kind
    fail: Conditions = ()
    warn: Conditions = ()

    @classmethod
    def parse(cls, raw: object, kind: Kind, bare: Bare = "==") -> Expectation:
        """Read what the inventory has; a Mistake says what can't be used, or could never fail."""
        if not isinstance(raw, Mapping) or not raw or not {"warn", "fail"} & set(raw):
            return cls(as_written(raw), kind, fail=parse_conditions(raw, kind, bare))
        check_keys(raw, ("warn", "fail"))
        for level, inner in raw.items():
            if isinstance(inner, Mapping) and {"warn", "fail"} & set(inner):
                raise Mistake(f"{level} holds levels of its own", f"write e.g. {level}: {kind.example}")
        levels = {level: parse_conditions(inner, kind, bare) for level, inner in raw.items()}
        if len(levels) == 2:
            refuse_looser_warning(levels["warn"], levels["fail"], kind)
        return cls(as_written(raw), kind, levels.get("fail", ()), levels.get("warn", ()))

    @property
    def expected(self) -> str:
        """The demand as a person reads it: "at least 14d (warns unless at least 30d)"."""
        fail, warn = (" and ".join(each.words(self.kind) for each in level) for level in (self.fail, self.warn))
        if fail and warn:
            return f"{fail} (warns unless {warn})"
        return fail or f"{warn} (only warns)"

    def judge(self, actual: object) -> Judgement:
        """Judge what was observed; None, an absent fact, fails, and so does a fact of another kind."""
        if actual is None:
            return Judgement(Level.FAIL, self.expected, "nothing")
        try:
            value = self.kind.read(actual)
        except Mistake:
            return Judgement(Level.FAIL, self.expected, _clipped(unlike(actual)))
        level = self._level(value)
        margin, headroom = self._distance(value, level)
        return Judgement(level, self.expected, _clipped(self._shown(value, level)), margin, headroom)

    def worst(self, values: Iterable[Any]) -> Any:
        """Of several observed values the first that fails, or else that warns, or else the first; None of none."""
        by_level = {self.judge(value).level: value for value in reversed(list(values))}
        return next((by_level[level] for level in (Level.FAIL, Level.WARN, Level.MET) if level in by_level), None)

    def __contains__(self, actual: object) -> bool:
        judgement = self.judge(actual)
        if listener := LISTENER.get():
            listener(self, judgement)
        return bool(judgement)

    def __str__(self) -> str:
        return self.text

    def _level(self, value: Value) -> Level:
        if not all(condition.holds(value) for condition in self.fail):
            return Level.FAIL
        return Level.MET if all(condition.holds(value) for condition in self.warn) else Level.WARN

    def _shown(self, value: Value, level: Level) -> str:
        """Rounded for the eye, unless that would show 200ms where 200.3ms failed `<=200ms`."""
        rounded = self.kind.readable(value)
        return self.kind.show(rounded if self._level(rounded) is level else value)

    def _distance(self, value: Value, level: Level) -> tuple[str | None, float | None]:
        limits = self.fail or self.warn
        measured = [each for each in rooms(limits, value) if level is not Level.FAIL or not each[1].holds(value)]
        nearest = min(measured, key=lambda each: each[0], default=None)
        if nearest:
            room, bound = nearest
            return self._margin(room, ">" in bound.sign), room / abs(bound.limit) if bound.limit else None
        if level is Level.FAIL:
            return self._difference(value), None
        return None, None

    def _margin(self, room: float, is_lower: bool) -> str:
        if room == 0:
            return "at the limit"
        beyond = "short" if is_lower else "over"
        return f"{self.kind.show(self.kind.readable(abs(room)))} {'left' if room > 0 else beyond}"

    def _difference(self, members: Value) -> str | None:
        """Which members are missing, and which too many."""
        for condition in self.fail:
            if isinstance(condition, Exactly):
                sides = {"missing": condition.missing(members), "unexpected": condition.beyond(members)}
                told = (f"{side} {self.kind.show(values)}" for side, values in sides.items() if values)
                return _clipped("; ".join(told))
        return None


# Whoever wants to know of every `actual in expectation`: so a plain assert in a suite leaves a record.
LISTENER: ContextVar[Callable[[Expectation, Judgement], None] | None] = ContextVar("LISTENER", default=None)


def explain(expectation: Expectation, actual: object) -> str:
    """One line on how the two compare: "91%, expected at most 85%: 6% over"."""
    judgement = expectation.judge(actual)
    margin = f": {judgement.margin}" if judgement.margin else ""
    return f"{judgement.actual}, expected {judgement.expected}{margin}"


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


@dataclass(frozen=True, slots=True)
class Expects:
    """Makes `Annotated[Expectation, Expects(DURATION, bare="<=")]` a field of a pydantic model."""

    kind: Kind
    bare: Bare = "=="

    def parse(self, raw: object) -> Expectation:
        """The expectation in what was written; one that was parsed before stays what it is."""
        return raw if isinstance(raw, Expectation) else Expectation.parse(raw, self.kind, self.bare)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        as_text = core_schema.plain_serializer_function_ser_schema(str)
        return core_schema.no_info_plain_validator_function(self.parse, serialization=as_text)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """What an editor may offer and must refuse; the finer points are left to `parse`."""
        once = self._one_level()
        levels = {level: {"anyOf": once} for level in ("warn", "fail")}
        return {
            "description": self._description,
            "examples": self._examples,
            "anyOf": [*once, _mapping(levels)],
        }

    def _one_level(self) -> list[dict[str, Any]]:
        of = self.kind.members or self.kind
        single = {"type": list(of.json_types)}
        listed = {"type": "array", "items": single, "minItems": 1, "uniqueItems": True}
        schemas: list[dict[str, Any]] = [listed] if self.kind.members else [single, listed]
        if self.kind == FLAG:
            schemas.append({"type": "string", "pattern": r"^(true|false)$|^[=!]=|\$\{"})
        if self.kind.members or self.kind.textual:
            parts = {"anyOf": [single, listed]}
            schemas.append(_mapping({"contains": parts, "lacks": parts}))
        return schemas

    @property
    def _description(self) -> str:
        forms = {"==": "", ">=": ", at least", "<=": ", at most"}[self.bare]
        return f"Expects a {self.kind.name}{forms}. docs/expectations.md shows all that may be written."

    @property
    def _examples(self) -> list[Any]:
        example = (self.kind.members or self.kind).example
        if self.kind.members:
            return [[example], {"contains": [example]}]
        if self.kind.ordered and not self.kind.textual:
            return [example, f"{'<' if self.bare == '<=' else '>='}{example}", [example]]
        return [example == "true" if self.kind == FLAG else example, [example]]


def _mapping(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "minProperties": 1, "additionalProperties": False}


def among(*words: str) -> AfterValidator:
    """For a text that can only be one of these: refuses what none of them meets, or every one."""

    def check(expectation: Expectation) -> Expectation:
        met = [word for word in words if expectation.judge(word)]
        mend = f"write {', '.join(words[:-1])} or {words[-1]}"
        if not met:
            raise Mistake(f"nothing can meet '{expectation}'", mend)
        if len(met) == len(words) and expectation.fail:
            raise Mistake(f"'{expectation}' is met by all that there is: this could never fail", mend)
        return expectation

    return AfterValidator(check)


Text = Annotated[Expectation, Expects(TEXT)]
TextSet = Annotated[Expectation, Expects(MEMBERS(TEXT))]
Flag = Annotated[Expectation, Expects(FLAG)]
Mode = Annotated[Expectation, Expects(MODE)]
Json = Annotated[Expectation, Expects(ANY)]
Count = Annotated[Expectation, Expects(COUNT)]
Status = Annotated[Expectation, Expects(STATUS)]
AtLeastCount = Annotated[Expectation, Expects(COUNT, bare=">=")]
AtMostCount = Annotated[Expectation, Expects(COUNT, bare="<=")]
Number = Annotated[Expectation, Expects(NUMBER)]
AtLeastNumber = Annotated[Expectation, Expects(NUMBER, bare=">=")]
AtMostNumber = Annotated[Expectation, Expects(NUMBER, bare="<=")]
Percent = Annotated[Expectation, Expects(PERCENT)]
AtLeastPercent = Annotated[Expectation, Expects(PERCENT, bare=">=")]
AtMostPercent = Annotated[Expectation, Expects(PERCENT, bare="<=")]
Duration = Annotated[Expectation, Expects(DURATION)]
AtLeastDuration = Annotated[Expectation, Expects(DURATION, bare=">=")]
AtMostDuration = Annotated[Expectation, Expects(DURATION, bare="<=")]
Size = Annotated[Expectation, Expects(SIZE)]
AtLeastSize = Annotated[Expectation, Expects(SIZE, bare=">=")]
AtMostSize = Annotated[Expectation, Expects(SIZE, bare="<=")]
Rate = Annotated[Expectation, Expects(RATE)]
AtLeastRate = Annotated[Expectation, Expects(RATE, bare=">=")]
AtMostRate = Annotated[Expectation, Expects(RATE, bare="<=")]
Version = Annotated[Expectation, Expects(VERSION)]
AtLeastVersion = Annotated[Expectation, Expects(VERSION, bare=">=")]


def _seconds(raw: object) -> float:
    return _above_zero(units.parse_duration(raw), raw)


def _bytes(raw: object) -> int:
    return int(_above_zero(units.parse_size(raw), raw))


def _above_zero(amount: float, raw: object) -> float:
    if amount <= 0:
        raise Mistake(f"'{as_written(raw)}' is nothing", "write more than 0")
    return amount


# Settings: what a check is told rather than what it verifies.
Seconds = Annotated[float, PlainValidator(_seconds), WithJsonSchema({"type": "string", "examples": ["30s", "1h30m"]})]
Bytes = Annotated[
    int, PlainValidator(_bytes), WithJsonSchema({"type": ["string", "integer"], "examples": ["512M", "10kB"]})
]
