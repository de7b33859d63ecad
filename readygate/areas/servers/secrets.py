"""Secrets in what a server is configured with: whether they are set and no placeholders, never what they are."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import Field

from readygate.errors import Mistake
from readygate.expectation import AtLeastCount, Flag
from readygate.redaction import REDACTOR
from readygate.spec import Spec

_NAMES_A_SECRET = re.compile(
    r"(^|[_.-])(pass|passwd|password|passphrase|secret|secrets|token|credentials?|dsn|webhook|webhook_url"
    r"|(api|secret|private|access|signing|encryption|jwt|auth|hmac)[_-]?key|salt)$",
    re.IGNORECASE,
)
# Wherever one of these stands in a value, nobody has put a secret there yet.
_PLACEHOLDERS = (
    "changeme", "change-me", "change_me", "replaceme", "replace-me", "replace_me", "your-", "your_", "placeholder",
    "example", "django-insecure", "xxxx", "dummy", "todo", "fixme", "${", "<secret", "<token", "<password",
)  # fmt: skip
_WEAK = {"password", "secret", "admin", "root", "test", "postgres", "token", "none", "null", "123456", "qwerty"}


class Secret(Spec):
    """A value that no report may show."""

    area: ClassVar[str] = "secret"
    noun: ClassVar[str] = "secret"

    set: Flag | None = Field(None, description="Whether there is any value, be it what it may.")
    min_length: AtLeastCount | None = Field(None, description="How many characters it has.")
    placeholder: Flag | None = Field(None, description="Whether it is what an example has in its place: changeme.")
    not_one_of: tuple[str, ...] = Field(
        (), description="A setting: further texts that make a value a placeholder, wherever they stand in it."
    )


@dataclass(frozen=True, slots=True)
class SecretValue:
    """A secret as it is; None is one that isn't there. Its value is no part of any text made of this."""

    value: str | None = field(repr=False)

    @property
    def set(self) -> bool:
        # Quotes with nothing in them are left by files that keep them, as INI.
        return bool(self.value and self.value.strip().strip("\"'"))

    @property
    def length(self) -> int | None:
        return None if self.value is None else len(self.value)

    def is_placeholder(self, secret: Secret) -> bool | None:
        """Whether it is one of those that everybody knows, or one of the declared; None where nothing is set."""
        if self.value is None or not self.set:
            return None
        lowered = self.value.strip().lower()
        known = (*_PLACEHOLDERS, *(each.lower() for each in secret.not_one_of))
        return lowered in _WEAK or any(each in lowered for each in known)


def names_a_secret(key: str) -> bool:
    """Whether what stands under a key such as SMTP_PASSWORD is likely a secret."""
    return bool(_NAMES_A_SECRET.search(key))


def keep_out_of_reports(value: str, key: str) -> None:
    """Redact a value wherever it would be printed; one that is too short for that must not be printed at all."""
    with suppress(Mistake):
        REDACTOR.add(value, key)


def public_key_name(key: str) -> str:
    """The key, if its value may be shown in a report."""
    if names_a_secret(key):
        raise Mistake(f"'{key}' names a secret, which no report may show", "declare it under `secrets`")
    return key
