"""Draw charts with matplotlib, as SVG that takes its colours for text from the page around it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from eco2ai_cli import units
from eco2ai_cli.errors import Eco2aiError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK = "#010203"
"""Stands for the colour of text until the page says which that is."""
_COLOURS = ("#2a9d8f", "#e9a23b", "#7d78b8")
_WIDTH_IN = 7.2
_MOST_TICKS = 8


def bars_over_time(labels: Sequence[str], kwh: Sequence[float]) -> str:
    """Return upright bars, one a period."""
    figure, axes = _axes(2.6)
    axes.bar(range(len(labels)), kwh, color=_COLOURS[0], width=0.8)
    step = -(-len(labels) // _MOST_TICKS)
    axes.set_xticks(range(0, len(labels), step), labels[::step])
    axes.set_ylabel("kWh")
    return _svg(figure)


def bars(labels: Sequence[str], kwh: Sequence[float]) -> str:
    """Return level bars, one a label, the first at the top."""
    figure, axes = _axes(0.8 + 0.3 * len(labels))
    drawn = axes.barh(range(len(labels)), kwh, color=_COLOURS[0], height=0.7)
    axes.bar_label(drawn, list(map(_energy, kwh)), padding=3, color=_INK)
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("kWh")
    return _svg(figure)


def powers(seconds: Sequence[float], watts: Mapping[str, Sequence[float]]) -> str:
    """Return the power of each component since the sample before, stacked on each other."""
    figure, axes = _axes(2.8)
    axes.stackplot(seconds, *watts.values(), labels=list(watts), step="pre", colors=_COLOURS)
    axes.legend(
        frameon=False, labelcolor=_INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(watts)
    )
    axes.set_xlabel("s")
    axes.set_ylabel("W")
    axes.margins(x=0)
    return _svg(figure)


def _energy(kwh: float) -> str:
    return units.format_energy(units.joules(kwh))


def _axes(height_in: float) -> tuple[Figure, Axes]:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise Eco2aiError(
            "the page needs matplotlib for its charts", hint="pip install 'eco2ai-cli[html]'"
        ) from None
    figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(colors=_INK)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(_INK)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    return figure, axes


def _svg(figure: Figure) -> str:
    from matplotlib import rc_context

    out = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    # Names like `$x$` are not formulas, and text stays text, in the font of the page.
    with (
        rc_context({"svg.fonttype": "none", "svg.hashsalt": "eco2ai", "text.parse_math": False}),
        warnings.catch_warnings(),
    ):
        # Its own font lacks letters that the page's has.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    svg = out.getvalue()
    return svg[svg.index("<svg") :].replace(_INK, "currentColor")
