"""Drawings by matplotlib made fit for the page: shapes and text only, and no styles, which its policy lets not in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from io import StringIO
from typing import Any
from xml.etree import ElementTree as ET  # reads only what matplotlib has just written

Box = tuple[float, float, float, float]

# What a shape of a colour is given instead of it, by the colour and whether it is a line.
Dress = Callable[[str, bool], Mapping[str, str]]


def svg(
    size: tuple[float, float],
    box: Box,
    draw: Callable[[Any], None],
    *,
    colours: frozenset[str],
    dress: Dress,
    by: str,
) -> str:
    """A drawing of `size` in points, whose axes are in the `box`, as shares of it; the same gives the same bytes.

    Only what `draw` paints in one of `colours` is kept. `by` are the ids of the elements that name and describe it.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it complains where there is no home to write to
    import matplotlib  # takes half a second, which only a page with a chart should cost
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "readygate", "text.parse_math": False}):
        figure = Figure(figsize=(size[0] / 72, size[1] / 72))
        FigureCanvasSVG(figure)
        axes = figure.add_axes(box)
        axes.set_axis_off()
        draw(axes)
        drawn = StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    return _undressed(drawn.getvalue(), colours, dress, by)


def _undressed(drawing: str, colours: frozenset[str], dress: Dress, by: str) -> str:
    drawn = ET.fromstring(drawing)  # noqa: S314
    page = ET.Element("svg", viewBox=drawn.get("viewBox", ""), role="img")
    page.set("aria-labelledby", by)
    for shape in drawn.iter():
        tag = shape.tag.rpartition("}")[2]
        style = dict(part.split(": ", 1) for part in shape.get("style", "").split("; ") if ": " in part)
        is_line = style.get("fill") == "none"
        colour = style.get("stroke" if is_line else "fill", "")
        if tag not in ("path", "text") or colour not in colours:
            continue
        kept = ET.SubElement(page, tag, dict(dress(colour, is_line)))
        if is_line:
            kept.set("fill", "none")
            kept.set("stroke-width", style.get("stroke-width", "1"))
        for name in ("d", "x", "y"):
            if value := shape.get(name):
                kept.set(name, " ".join(value.split()))
        if tag == "text":
            kept.text = shape.text
            kept.set("text-anchor", style.get("text-anchor", "start"))
            kept.set("font-size", style.get("font-size", "10px"))
    return ET.tostring(page, encoding="unicode")
