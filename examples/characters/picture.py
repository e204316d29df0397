"""Draw what the example found: curves of learning, and what the limit says of some characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Array = np.ndarray
LIMIT, END, WRONG, RIGHT = "#1b1b1b", "#8a8a8a", "#b3261e", "#1d6b3c"
WIDTHS = ("#9ecae1", "#4292c6", "#08519c")
SHOWN = 10


def draw(
    path: Path,
    limit: Sequence[float],
    ends: Mapping[str, float],
    networks: Mapping[int, Sequence[float]],
    images: Array,
    labels: Array,
    answers: Array,
    names: Sequence[str],
) -> None:
    """Write the picture: ``limit`` and ``networks`` are test accuracies after each step.

    ``ends`` are accuracies of predictors without steps, drawn as levels; ``images`` (N', 15, 15),
    ``labels`` and ``answers`` (N',) are the test set and what the limit answers.
    """
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10, 7.4), layout="constrained", dpi=120)
        upper, lower = figure.subfigures(2, 1, height_ratios=(1.35, 1))
        curves(upper.add_subplot(), limit, ends, networks)
        lower.suptitle(
            "Test characters, by unseen hands: the alphabet that the infinitely wide network names"
        )
        chosen = choose(labels, answers)
        for axes, place in zip(lower.subplots(2, SHOWN // 2).flat, chosen, strict=True):
            character(axes, images[place], names[labels[place]], names[answers[place]])
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def curves(
    axes: Axes,
    limit: Sequence[float],
    ends: Mapping[str, float],
    networks: Mapping[int, Sequence[float]],
) -> None:
    """Draw test accuracy against steps, for the limit and for finite widths."""
    for colour, (width, accuracy) in zip(WIDTHS, networks.items(), strict=False):
        axes.plot(100 * np.array(accuracy), color=colour, label=f"network of width {width}")
    axes.plot(100 * np.array(limit), color=LIMIT, linestyle=(0, (4, 2)), label="infinite width")
    for name, level in ends.items():
        axes.axhline(100 * level, color=END, linewidth=0.8)
        axes.annotate(
            f"{name}: {level:.1%}",
            (1, 100 * level),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom" if level == max(ends.values()) else "top",
            color=END,
        )
    axes.set(
        xlabel="steps of gradient descent",
        ylabel="test accuracy (%)",
        title="Wide networks learn as their limit says",
        xlim=(0, len(limit) - 1),
        ylim=(0, 100),
    )
    axes.legend(loc="lower right", frameon=False)


def choose(labels: Array, answers: Array) -> list[int]:
    """Return images to show: eight right answers, spread over the alphabets, and two wrong ones."""
    rng = np.random.default_rng(1)
    right, wrong = (
        rng.permutation(np.flatnonzero(x)) for x in (labels == answers, labels != answers)
    )
    kinds = range(int(labels.max()) + 1)
    by_kind = [[int(p) for p in right if labels[p] == kind] for kind in kinds]
    spread = [places[turn] for turn in range(2) for places in by_kind if len(places) > turn]
    misses = [int(p) for p in wrong[:2]]
    shown = spread[: SHOWN - len(misses)] + misses
    rest = [int(p) for p in right if int(p) not in shown]
    return (shown + rest)[:SHOWN]


def character(axes: Axes, image: Array, truth: str, answer: str) -> None:
    """Draw one character with the answer below it."""
    axes.imshow(image, cmap="gray_r", interpolation="bilinear")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    right = truth == answer
    text = answer if right else f"{answer}\n(it is {truth})"
    axes.set_xlabel(text, color=RIGHT if right else WRONG)
