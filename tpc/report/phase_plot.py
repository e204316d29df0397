"""The picture of a slice: exact polygons, edges and points, with the named parametrizations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.scaling import Kind

if TYPE_CHECKING:
    from tpc.phase import Phase
    from tpc.scaling.slices import Box, Corner, Part, Slice

_INK = "#22252b"
_UNSTABLE = "#f6ece9"
_FILL = {Kind.TRIVIAL: "#dde2ea", Kind.KERNEL: "#9cc3e6", Kind.FEATURE: "#f3b488"}
_LINE = {Kind.TRIVIAL: "#8d97a8", Kind.KERNEL: "#1f6fb5", Kind.FEATURE: "#d9541e"}
_DEGENERATE: dict[str, Any] = {"facecolor": "#ece6f3", "edgecolor": "#b9a6d3", "hatch": "////"}
_MEANING = {
    Kind.FEATURE: "feature learning",
    Kind.KERNEL: "kernel regime",
    Kind.TRIVIAL: "trivial: the output does not move",
    Kind.DEGENERATE: "degenerate at initialisation",
    Kind.UNSTABLE: "unstable",
}


def phase_plot(phase: Phase, found: Slice, path: Path) -> None:
    """Draw a slice to a file.

    Raises:
        TpcError: the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from tpc.storage import replacing

    with matplotlib.rc_context({"font.size": 11, "hatch.linewidth": 0.6}):
        figure, draw = plt.subplots(figsize=(9.2, 6.2), layout="constrained")
        _frame(draw, found)
        for part in found.parts:
            _part(draw, found, part)
        _unstable_name(draw, found)
        _corners(draw, found)
        _marks(draw, found)
        _legend(draw, found)
        _title(draw, phase, found)
        kind = path.suffix.lstrip(".").lower() or "png"
        with replacing(path) as file:
            figure.savefig(file, format=kind, dpi=160, bbox_inches="tight", pad_inches=0.25)
        plt.close(figure)


def _frame(draw: Any, found: Slice) -> None:
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    (left, right), (low, high) = found.box
    draw.set_xlim(float(left), float(right))
    draw.set_ylim(float(low), float(high))
    draw.set_aspect("equal")
    draw.set_facecolor(_UNSTABLE)
    step = 0.5 if right - left <= 5 else 1.0
    for axis, name in ((draw.xaxis, found.x), (draw.yaxis, found.y)):
        axis.set_major_locator(MultipleLocator(step))
        axis.set_major_formatter(FuncFormatter(lambda value, _: _number(Fraction(value))))
        axis.set_label_text(f"exponent {name}", fontsize=12.5)
    draw.grid(color="white", linewidth=1.1, zorder=0.5)
    draw.set_axisbelow(True)
    draw.tick_params(length=0, colors=_INK, pad=7)
    for side in draw.spines.values():
        side.set_visible(False)


def _number(value: Fraction) -> str:
    return str(value.limit_denominator(4)).replace("-", "\u2212")


def _part(draw: Any, found: Slice, part: Part) -> None:
    corners = part.corners(found.x, found.y, found.box)
    if not corners:
        return
    xs, ys = ([float(c[i]) for c in corners] for i in (0, 1))
    if part.kind is Kind.DEGENERATE:
        if len(corners) > 2:
            draw.fill(xs, ys, linewidth=0, zorder=1, **_DEGENERATE)
        return
    if len(corners) > 2:
        draw.fill(xs, ys, color=_FILL[part.kind], linewidth=0, zorder=1.5)
        _area_name(draw, part.kind, xs, ys)
    elif len(corners) == 2:
        order = {Kind.TRIVIAL: 2.0, Kind.KERNEL: 3.0, Kind.FEATURE: 3.2}[part.kind]
        draw.plot(xs, ys, color="white", linewidth=8, zorder=order - 0.1, solid_capstyle="round")
        draw.plot(xs, ys, color=_LINE[part.kind], linewidth=5, zorder=order)
        _edge_name(draw, found, part, corners)
    else:
        draw.plot(xs, ys, "o", color=_LINE[part.kind], markersize=12, zorder=4, mec="white", mew=2)


def _area_name(draw: Any, kind: Kind, xs: Sequence[float], ys: Sequence[float]) -> None:
    middle = (sum(xs) / len(xs), sum(ys) / len(ys))
    colour = {Kind.TRIVIAL: "#5c6675", Kind.KERNEL: "#174f80", Kind.FEATURE: "#9a3a12"}[kind]
    draw.text(*middle, kind.value, ha="center", va="center", fontsize=14, color=colour, zorder=5)


def _edge_name(draw: Any, found: Slice, part: Part, corners: Sequence[Corner]) -> None:
    """Write the equation of an edge along it, on the side that is emptier."""
    from math import atan2, degrees, hypot

    (x0, y0), (x1, y1) = (tuple(map(float, corner)) for corner in sorted(corners))
    length = hypot(x1 - x0, y1 - y0)
    if length < 0.3:
        return
    equation = next(c for c in part.conditions if " = " in c)
    middle = ((corners[0][0] + corners[1][0]) / 2, (corners[0][1] + corners[1][1]) / 2)
    across = ((corners[0][1] - corners[1][1]), (corners[1][0] - corners[0][0]))
    side = min((1, -1), key=lambda s: _seen(found, middle, across, s))
    shift = 13 * side / hypot(*map(float, across))
    draw.annotate(
        f"{part.kind.value}:  {equation}".replace("*", " ").replace("-", "\u2212"),
        tuple(map(float, middle)),
        xytext=(float(across[0]) * shift, float(across[1]) * shift),
        textcoords="offset points",
        rotation=degrees(atan2(y1 - y0, x1 - x0)),
        rotation_mode="anchor",
        ha="center",
        va="center",
        fontsize=11,
        color=_LINE[part.kind],
        zorder=8,
    )


def _seen(found: Slice, place: Corner, across: Corner, side: int) -> int:
    """Return what there is beside a place: 0 for what is unstable."""
    step = Fraction(side, 50)
    point = (place[0] + across[0] * step, place[1] + across[1] * step)
    if not _is_inside(point, found.box):
        return 9
    return 0 if _kind_at(found, point) is Kind.UNSTABLE else 1


def _unstable_name(draw: Any, found: Slice) -> None:
    """Name the surroundings, in a corner of the window where there is nothing else."""
    (left, right), (low, high) = found.box
    width, height = right - left, high - low
    for right_hand, up in ((0, 0), (1, 0), (0, 1), (1, 1)):
        box = (
            (
                left + width * right_hand * Fraction(7, 10),
                left + width * Fraction(3 + 7 * right_hand, 10),
            ),
            (low + height * up * Fraction(9, 10), low + height * Fraction(1 + 9 * up, 10)),
        )
        marked = any(_is_inside((m.x, m.y), box) for m in found.marks)
        if not marked and not any(part.corners(found.x, found.y, box) for part in found.parts):
            place = [float(sum(side) / 2) for side in box]
            draw.text(
                *place, "unstable", ha="center", va="center", fontsize=14, color="#b08a80", zorder=5
            )
            return


def _corners(draw: Any, found: Slice) -> None:
    """Mark where the boundaries meet, with coordinates."""
    named = {(mark.x, mark.y) for mark in found.marks}
    for corner in found.corners:
        if not _is_inside(corner, found.box):
            continue
        x, y = map(float, corner)
        kind = _kind_at(found, corner)
        draw.plot(x, y, "o", color=_LINE.get(kind, _INK), ms=9, mec="white", mew=1.6, zorder=6)
        if corner not in named:
            label = f"({_number(corner[0])}, {_number(corner[1])})"
            _note(draw, found, corner, label, size=10)


def _kind_at(found: Slice, corner: Corner) -> Kind:
    """Return the class of a place, the last in the order of drawing among those that hold."""
    point = {found.x: corner[0], found.y: corner[1]}
    here = [
        part.kind
        for part in found.parts
        if part.polyhedron.contains(point) and all(f.evaluate(point) > 0 for f in part.positive)
    ]
    return here[-1] if here else Kind.UNSTABLE


def _marks(draw: Any, found: Slice) -> None:
    for mark in found.marks:
        x, y = float(mark.x), float(mark.y)
        colour = _LINE.get(mark.kind, "#a33a3a")
        draw.plot(x, y, "*", color=colour, markersize=22, mec="white", mew=1.6, zorder=7)
        text = f"{' = '.join(mark.names)}\n({_number(mark.x)}, {_number(mark.y)})"
        _note(draw, found, (mark.x, mark.y), text, size=11.5, weight="bold")


def _note(draw: Any, found: Slice, corner: Corner, text: str, **font: Any) -> None:
    """Write beside a place, on the side of the window's middle least in the way."""
    dx, dy = _away(found, corner)
    draw.annotate(
        text,
        (float(corner[0]), float(corner[1])),
        xytext=(13 * dx, 13 * dy),
        textcoords="offset points",
        ha="left" if dx > 0 else "right",
        va="bottom" if dy > 0 else "top",
        color=_INK,
        zorder=8,
        fontsize=font["size"],
        fontweight=font.get("weight", "normal"),
        linespacing=1.15,
    )


def _away(found: Slice, corner: Corner) -> tuple[int, int]:
    """Return the quadrant around a place that holds the least of what is stable."""
    reach = (found.box[0][1] - found.box[0][0]) / 8
    return min(
        ((sx, sy) for sx in (-1, 1) for sy in (-1, 1)),
        key=lambda sign: (_crowd(found, corner, sign, reach), sign[1], sign[0]),
    )


def _crowd(found: Slice, corner: Corner, sign: tuple[int, int], reach: Fraction) -> int:
    x, y = corner[0] + sign[0] * reach, corner[1] + sign[1] * reach / 2
    if not _is_inside((x, y), found.box):
        return 9
    box = (
        (min(corner[0], x), max(corner[0], x)),
        (min(corner[1], y), max(corner[1], y)),
    )
    crowd = 0
    for part in found.parts:
        seen = part.corners(found.x, found.y, box)
        crowd += 2 if len(seen) > 2 else 1 if len(seen) == 2 else 0
    return crowd


def _is_inside(corner: Corner, box: Box) -> bool:
    return all(low <= c <= high for c, (low, high) in zip(corner, box, strict=True))


def _legend(draw: Any, found: Slice) -> None:
    handles = list(_handles(found))
    draw.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        frameon=False,
        borderaxespad=0,
        labelspacing=0.9,
        handlelength=1.7,
    )


def _handles(found: Slice) -> Iterator[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    for kind in (Kind.FEATURE, Kind.KERNEL, Kind.TRIVIAL):
        parts = [part for part in found.parts if part.kind is kind]
        if not parts:
            continue
        if max(part.dimension for part in parts) == 2:
            yield Patch(facecolor=_FILL[kind], label=_MEANING[kind])
        else:
            yield Line2D([], [], color=_LINE[kind], linewidth=5, label=_MEANING[kind])
    if any(part.kind is Kind.DEGENERATE for part in found.parts):
        yield Patch(linewidth=0, label=_MEANING[Kind.DEGENERATE], **_DEGENERATE)
    yield Patch(facecolor=_UNSTABLE, edgecolor="#d9c3bd", label=_MEANING[Kind.UNSTABLE])
    if found.marks:
        label = "named parametrization"
        yield Line2D([], [], marker="*", color=_INK, linestyle="", markersize=14, label=label)


def _title(draw: Any, phase: Phase, found: Slice) -> None:
    optimizers = ", ".join(dict.fromkeys(line.name for line in phase.module.optimizers))
    name = Path(phase.module.source.name).name
    draw.set_title(f"{name} under {optimizers}", loc="left", fontsize=15, color=_INK, pad=30)
    at = ", ".join(f"{s} = {form}" for s, form in found.at.items())
    if at:
        draw.text(0, 1.025, f"at {at}", transform=draw.transAxes, fontsize=10.5, color="#5c6675")
