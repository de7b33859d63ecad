"""Reads the text format in which Prometheus collects metrics, to say whether it could."""

from __future__ import annotations

import re

_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*"'
_SAMPLE = re.compile(
    rf"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{\s*(?:{_LABEL}\s*(?:,\s*{_LABEL}\s*)*,?)?\s*\}})?"
    r"\s+[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|[iI]nf|[nN]a[nN])(?:\s+-?\d+)?(?:\s+#.*)?\s*"
)


def metric_names(text: str) -> tuple[str, ...] | None:
    """The name of every sample, each once; None where a line is none, or there is no sample at all."""
    names: dict[str, None] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        sample = _SAMPLE.fullmatch(line.strip())
        if not sample:
            return None
        names[sample[1]] = None
    return tuple(names) or None
