"""Asks a Prometheus, and hears what it says beside its answer."""

from __future__ import annotations

from typing import Any

from readygate.areas.asking_http import Api
from readygate.errors import CouldNotLook
from readygate.fleet import EVIDENCE


def data(prometheus: Api, path: str, **query: str) -> Any:
    """What it answers. CouldNotLook: it can't, or not in whole."""
    answer = prometheus.get(path, query)
    if answer.status in (400, 422) and "query" in query:
        said = answer.parsed().get("error")
        raise CouldNotLook(f"Prometheus can't evaluate '{query['query']}': {said}", mend="correct the expression")
    told = answer.json()
    # E.g. a store far away that did not answer: what is left of the series is no whole answer.
    if warnings := told.get("warnings"):
        about = f"'{query['query']}'" if "query" in query else path
        raise CouldNotLook(
            f"Prometheus answers {about} with a warning, so it may be only a part: {'; '.join(warnings)}",
            mend="see what it warns of; a remote store that does not answer leaves series out",
        )
    # These are no fault of the answer: a name that does not look like a counter, say.
    if (infos := told.get("infos")) and (hear := EVIDENCE.get()):
        hear(f"{answer.url} {query}", 0, "\n".join(infos), "")
    return told["data"]


def samples(prometheus: Api, expression: str) -> list[float]:
    """The value of each series that an expression gives now; 0 for a histogram."""
    answer = data(prometheus, "/api/v1/query", query=expression)
    if answer["resultType"] == "scalar":
        return [float(answer["result"][1])]
    if answer["resultType"] != "vector":
        raise CouldNotLook(f"'{expression}' gives a {answer['resultType']}", mend="ask for what is there now")
    return [float(each["value"][1]) if "value" in each else 0.0 for each in answer["result"]]
