"""The coordinate check of a whole program: predicted exponents beside measured slopes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError
from tpc.scaling import Classification, Kind
from tpc.slopes.measure import Probe, Sizes
from tpc.slopes.rates import movement, rate_factor, two, with_rates
from tpc.slopes.row import Row, Verdict

if TYPE_CHECKING:
    from tpc.ir.module import Module

WIDTHS = (64, 128, 256, 512, 1024)
SEEDS = 6
#: Steps of training, at least: a term that appears late is hidden by one step.
STEPS = 3
_TOO_FAR = 10.0
#: Initial sizes cost no training, so they are averaged over this many times more networks, whose
#: seeds follow the given ones at this distance.
MORE_INITIAL, _DISTANCE = 4, 2**20


@dataclass(frozen=True)
class Slopes:
    """Measured sizes of a program against its predicted exponents.

    ``factor`` multiplied all learning rates; ``steps`` is how many steps were made. The rows of an
    unstable or degenerate program are shown, but prove nothing: its exponents are those of the
    moment at which it broke.
    """

    classification: Classification
    widths: tuple[int, ...]
    seeds: tuple[int, ...]
    steps: int
    factor: Fraction
    rows: tuple[Row, ...]

    @property
    def judged(self) -> bool:
        """Whether the rows test the prediction: the program is stable and not degenerate."""
        return self.classification.kind not in (Kind.UNSTABLE, Kind.DEGENERATE)

    @property
    def holds(self) -> bool:
        """Whether no row differs from its prediction."""
        return all(row.verdict is not Verdict.DIFFERS for row in self.rows)

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many rows have which verdict."""
        found = Counter(row.verdict for row in self.rows)
        return {verdict: found[verdict] for verdict in Verdict}

    def row(self, name: str, quantity: str = "change") -> Row:
        """Return the row of a value.

        Raises:
            KeyError: there is none.
        """
        for row in self.rows:
            if (row.name, row.quantity) == (name, quantity):
                return row
        raise KeyError(name)

    def text(self) -> str:
        """Return the table."""
        from tpc.report.slopes import slopes_text

        return slopes_text(self)

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON object (docs/json.md)."""
        return {
            "schema": 1,
            "kind": self.classification.kind.value,
            "widths": list(self.widths),
            "seeds": list(self.seeds),
            "steps": self.steps,
            "factor": str(self.factor),
            "rows": [row.to_json() for row in self.rows],
            "holds": self.holds if self.judged else None,
        }

    def __repr__(self) -> str:
        said = ", ".join(f"{count} {verdict.value}" for verdict, count in self.counts.items())
        return f"<Slopes of a program that is {self.classification.kind.value}: {said}>"


def slopes(
    module: Module,
    found: Classification,
    data: Mapping[str, Any],
    *,
    test: Mapping[str, Any] | None = None,
    widths: Sequence[int] = WIDTHS,
    seeds: Iterable[int] = range(SEEDS),
    steps: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Slopes:
    """Measure the sizes that ``found``, the program's classification, predicts.

    Sizes are root mean squares over coordinates, points and seeds (initial sizes: over four times
    as many networks). All samples of ``data`` are seen at every step. Without ``steps`` there are
    as many as the sizes need to settle (the number of steps of the classification), but at least
    three. The learning rates are multiplied by one constant (:func:`tpc.slopes.rate_factor`),
    divided by eight again where a wider network moves too far. ``progress`` is called with the
    number of networks that are done.

    Raises:
        TpcError: fewer than two widths; widths or data do not fit the program; there is no
            training.
    """
    widths, seeds = tuple(sorted(set(widths))), tuple(int(seed) for seed in seeds)
    _check(module, widths, seeds)
    probe = Probe(module, data, test)
    if steps is None:
        steps = max(found.steps, STEPS if found.kind is not Kind.UNSTABLE else 1)
    factor = rate_factor(probe, widths[0], steps, seeds[0])
    sizes = _all_sizes(probe, widths, seeds, steps, factor, progress)
    while _diverged(probe, sizes) and found.kind is not Kind.UNSTABLE and factor > two(-40):
        factor /= 8
        sizes = _all_sizes(probe, widths, seeds, steps, factor, progress)
    rows = tuple(_rows(found, widths, sizes, _more_initial(probe, widths, seeds)))
    return Slopes(found, widths, seeds, steps, factor, rows)


def _check(module: Module, widths: tuple[int, ...], seeds: tuple[int, ...]) -> None:
    if module.loss is None:
        raise TpcError(
            Diagnostic("E0927", "this program has no train: block, so nothing changes in training")
        )
    if len(widths) < 2 or not seeds:
        raise TpcError(Diagnostic("E0927", "slopes need at least two widths and one seed"))


def _all_sizes(
    probe: Probe,
    widths: tuple[int, ...],
    seeds: tuple[int, ...],
    steps: int,
    factor: Fraction,
    progress: Callable[[int], None] | None,
) -> list[list[Sizes]]:
    module = with_rates(probe.module, factor)
    result: list[list[Sizes]] = []
    for number, width in enumerate(widths):
        row = []
        for position, seed in enumerate(seeds):
            row.append(probe.sizes(module, width, steps, seed))
            if progress is not None:
                progress(number * len(seeds) + position + 1)
        result.append(row)
    return result


def _more_initial(
    probe: Probe, widths: tuple[int, ...], seeds: tuple[int, ...]
) -> list[list[Sizes]]:
    """Return the sizes of further networks that are not trained."""
    further = [seed + k * _DISTANCE for k in range(1, MORE_INITIAL) for seed in seeds]
    return [[probe.sizes(probe.module, width, 0, seed) for seed in further] for width in widths]


def _diverged(probe: Probe, sizes: Iterable[Iterable[Sizes]]) -> bool:
    return any(not movement(each, probe.outputs) < _TOO_FAR for row in sizes for each in row)


def _rows(
    found: Classification,
    widths: tuple[int, ...],
    sizes: list[list[Sizes]],
    untrained: list[list[Sizes]],
) -> Iterator[Row]:
    predicted = found.measured
    for name in sizes[0][0].initial:
        expected = predicted[name]
        initial = tuple(
            tuple(each.initial[name] for each in (*some, *more))
            for some, more in zip(sizes, untrained, strict=True)
        )
        change = tuple(tuple(each.change[name] for each in some) for some in sizes)
        yield Row(name, "initial", expected.init, widths, initial)
        yield Row(name, "change", expected.change, widths, change)
