"""Rows to a drawing: bars with their intervals, and lines over scans.

One restrained look for every figure.  Colours say what a number means (good, fair, bad, unknown,
plain), come from Okabe and Ito's set that colour-blind readers can tell apart, and are never the
only carrier: every bar has its name and its numbers beside it.  A drawing is made twice, wide for
a desk and narrow for a phone; the copy inside the page takes its colours from the page's style, so
that it follows light and dark.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import altair as alt
import vl_convert

from analysis.tables import percent, visible

PALETTE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ink": "#1b1f24",
        "muted": "#5b6670",
        "rule": "#dfe3e8",
        "good": "#0072b2",
        "fair": "#c98500",
        "bad": "#cc4b0c",
        "unknown": "#98a2ac",
        "plain": "#5f8fb0",
        "paper": "#ffffff",
    }
)
"""Each colour by the name of its style variable; the drawing on disk uses these values as they are."""

WIDE: Final = 720
NARROW: Final = 350
_FONT: Final = "system-ui, sans-serif"
_LABEL_CHARACTERS: Final = MappingProxyType({WIDE: 28, NARROW: 22})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Where the parts of a bar chart stand, in pixels."""

    left: int
    right: int
    bottom: int
    step: int
    thick: int
    drop: int
    """How far the bar lies below the middle of its band, and the text above it."""
    lift: int
    axis: bool

    def texts(self, room: int) -> tuple[tuple[str, str, Literal["left", "right"], int], ...]:
        """Column, colour, alignment and place of each text; *room* is the width of the bars."""
        if self.axis:
            return (
                ("label", "ink", "left", -self.left),
                ("percent", "ink", "right", room + 66),
                ("count", "muted", "left", room + 78),
            )
        return (
            ("label", "ink", "left", 0),
            ("percent", "ink", "right", room - 134),
            ("count", "muted", "right", room),
        )


# On a desk names stand left of the bars and numbers right of them; on a phone both stand above.
_LAYOUT: Final = MappingProxyType(
    {
        WIDE: _Layout(left=205, right=215, bottom=24, step=28, thick=14, drop=0, lift=0, axis=True),
        NARROW: _Layout(left=2, right=2, bottom=4, step=44, thick=11, drop=8, lift=-11, axis=False),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: its name, its share with the interval, and the counts behind it in words."""

    label: str
    share: float | None
    low: float | None
    high: float | None
    count: str
    tone: str = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One share at one scan, on the line of that name."""

    line: str
    of: str
    """What it is a share of."""
    when: str
    share: float
    low: float
    high: float
    tone: str = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure in the forms that a report needs; each is drawn when it is asked for."""

    svg: str
    """For a file: its own colours on white."""
    narrow: alt.TopLevelMixin
    """The figure at the width of a phone, not yet drawn."""

    @property
    def png(self) -> bytes:
        """The same as the file."""
        drawn: bytes = vl_convert.svg_to_png(self.svg, scale=2)
        return drawn

    @property
    def inline(self) -> str:
        """For the page at desk width: colours from the page's style variables."""
        return _inline(self.svg)

    @property
    def inline_narrow(self) -> str:
        """For the page on a phone."""
        return _inline(vl_convert.vegalite_to_svg(self.narrow.to_dict()))


def draw_bars(bars: Sequence[Bar]) -> Drawing:
    """Horizontal bars from zero, in the order given."""
    return _draw(_bars(bars, WIDE), _bars(bars, NARROW))


def draw_trend(points: Sequence[Point]) -> Drawing:
    """One line for each name over the scans, in the order given."""
    return _draw(_trend(points, WIDE), _trend(points, NARROW))


def _draw(wide: alt.TopLevelMixin, narrow: alt.TopLevelMixin) -> Drawing:
    return Drawing(svg=vl_convert.vegalite_to_svg(wide.to_dict()), narrow=narrow)


def _inline(svg: str) -> str:
    """The drawing as part of an HTML page: no namespace, no backdrop, the page's colours."""
    svg = re.sub(r'<rect width="\d+" height="\d+" fill="[^"]*"/>', "", svg, count=1)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    # The text beside it says the same in words: a reader's software need not spell the drawing.
    svg = re.sub(r' (role|aria-[a-z]+)="[^"]*"', "", svg)
    svg = svg.replace("<svg ", '<svg aria-hidden="true" ', 1)
    for name, colour in PALETTE.items():
        svg = svg.replace(f'"{colour}"', f'"var(--{name})"')
    return svg


def _bars(bars: Sequence[Bar], width: int) -> alt.TopLevelMixin:
    rows = [
        {
            "place": place,
            "label": _short(bar.label, _LABEL_CHARACTERS[width]),
            "share": bar.share or 0.0,
            "low": bar.low or 0.0,
            "high": bar.high or 0.0,
            "percent": percent(bar.share),
            "count": visible(bar.count),
            "colour": PALETTE[bar.tone],
        }
        for place, bar in enumerate(bars)
    ]
    layout = _LAYOUT[width]
    room = width - layout.left - layout.right
    top = max((float(str(row["high"])) for row in rows), default=0.0) or 1.0
    scale = alt.Scale(domain=[0, top], nice=False)
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y("place:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0))
    )
    bar = base.mark_bar(height=layout.thick, yOffset=layout.drop).encode(
        x=alt.X("share:Q", title=None, scale=scale, axis=_axis(room) if layout.axis else None),
        color=alt.Color("colour:N", scale=None),
    )
    reach = base.mark_rule(yOffset=layout.drop, color=PALETTE["ink"], opacity=0.55).encode(
        x="low:Q", x2="high:Q"
    )
    texts = [
        base.mark_text(
            align=align,
            color=PALETTE[colour],
            fontSize=13,
            font=_FONT,
            dy=layout.lift,
            baseline="middle",
        ).encode(x=alt.value(x), text=f"{column}:N")
        for column, colour, align, x in layout.texts(room)
    ]
    padding = {"left": layout.left, "right": layout.right, "top": 4, "bottom": layout.bottom}
    size = {"width": room, "height": layout.step * max(len(rows), 1)}
    return _finish(alt.LayerChart(layer=[bar, reach, *texts]).properties(padding=padding, **size))


def _trend(points: Sequence[Point], width: int) -> alt.TopLevelMixin:
    # A panel for each line: their shares are of different populations, and their names never collide.
    lines = {point.line: [p for p in points if p.line == point.line] for point in points}
    top = max((point.high for point in points), default=0.0) or 1.0
    across = min(len(lines), 3) if width == WIDE else 1
    room = (width - 20) // max(across, 1) - 62
    panels = [_panel(line, mine, top, room) for line, mine in lines.items()]
    return _finish(alt.ConcatChart(concat=panels, columns=across, spacing=24), fixed=False)


def _panel(line: str, points: Sequence[Point], top: float, room: int) -> alt.LayerChart:
    """One line with its intervals, under its name; the scale is that of all panels."""
    rows = [
        {"when": visible(p.when), "share": p.share, "low": p.low, "high": p.high} for p in points
    ]
    colour = PALETTE[points[0].tone]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X(
            "when:O", sort=None, title=None, scale=alt.Scale(padding=0.3), axis=_time_axis(room)
        ),
        y=alt.Y("share:Q", title=None, scale=alt.Scale(domain=[0, top]), axis=_axis(200)),
    )
    drawn = base.mark_line(strokeWidth=2, color=colour)
    dot = base.mark_point(filled=True, size=50, opacity=1, color=colour)
    reach = base.mark_rule(opacity=0.55, color=PALETTE["ink"]).encode(y="low:Q", y2="high:Q")
    name = alt.TitleParams(
        text=visible(line),
        subtitle=visible(points[0].of),
        subtitleFont=_FONT,
        subtitleFontSize=12,
        subtitleColor=PALETTE["muted"],
        anchor="start",
        font=_FONT,
        fontSize=13,
        fontWeight=600,
        color=PALETTE["ink"],
        dy=-4,
    )
    return alt.LayerChart(layer=[drawn, reach, dot]).properties(width=room, height=170, title=name)


def _finish(
    chart: alt.LayerChart | alt.ConcatChart, *, fixed: bool = True
) -> alt.LayerChart | alt.ConcatChart:
    """The look of every drawing; *fixed* when its padding says where everything stands."""
    if fixed:
        chart = chart.properties(autosize=alt.AutoSizeParams(type="none"))
    finished: alt.LayerChart | alt.ConcatChart = (
        chart.properties(background=PALETTE["paper"])
        .configure_view(stroke=None)
        .configure_axis(labelFont=_FONT, labelFontSize=11, labelColor=PALETTE["muted"])
    )
    return finished


def _axis(room: int) -> alt.Axis:
    return alt.Axis(
        format="~%",
        labelExpr="replace(datum.label, '%', ' %')",
        tickCount=max(2, room // 90),
        domain=False,
        ticks=False,
        gridColor=PALETTE["rule"],
        labelPadding=4,
    )


def _time_axis(room: int) -> alt.Axis:
    return alt.Axis(
        domain=False,
        ticks=False,
        labelAngle=0,
        labelPadding=8,
        grid=False,
        labelOverlap=True,
        labelSeparation=10,
        labelLimit=room,
    )


def _short(text: str, characters: int) -> str:
    text = visible(text)
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"
