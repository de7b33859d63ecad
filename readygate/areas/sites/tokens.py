"""How long the token is good for that a login answers with; the token itself is never shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pydantic import Field

from readygate.areas.sites.fetch import Response
from readygate.errors import CouldNotLook
from readygate.expectation import AtMostDuration
from readygate.spec import Spec


class Token(Spec):
    """A JSON Web Token in an endpoint's answer."""

    area: ClassVar[str] = "token"
    noun: ClassVar[str] = "token"

    at: str = Field("access_token", description="A setting: its dotted path in the JSON answer.")
    lives: AtMostDuration = Field(description="How long it is good for: from its `iat` to its `exp`.")


def observe_token_life(response: Response, token: Token) -> float | None:
    """Seconds; None where there is no token, or one that never runs out. CouldNotLook: it is no JWT."""
    found = response.value_at(token.at)
    if not isinstance(found, str):
        return None
    try:
        payload = found.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        begins, ends = claims["iat"], claims.get("exp")
        return None if ends is None else float(ends) - float(begins)
    except (IndexError, KeyError, TypeError, ValueError, AttributeError):
        mend = "ask for what the service says of its life, e.g. json: {expires_in: 900}"
        raise CouldNotLook(f"what stands at {token.at} is no JWT with `iat`", mend=mend) from None


FACTS: Mapping[str, Callable[..., Any]] = {"token_life_s": observe_token_life}
