"""Limits of programs with many positions: images, sequences.

Their recursions run over whole arrays of positions (:mod:`tpc.covariance`), where one expression
per pair of positions would be too many. The rules are the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError
from tpc.ir.node import walk
from tpc.limit.bands import pairs
from tpc.limit.equations import Equation, shorten
from tpc.limit.kernels import Kernels, derive
from tpc.limit.limit import Limit
from tpc.limit.moment import LimitRefusal, TooMany
from tpc.limit.sampled import sampled
from tpc.ops.base import MissingRule
from tpc.ops.batch import couples_samples
from tpc.ops.multiply import MULTIPLY
from tpc.ops.repeat import REPEAT

if TYPE_CHECKING:
    from tpc.covariance import PositionKernel
    from tpc.ir.module import Module
    from tpc.ir.node import Node

MOST_ENTRIES = 8
"""Positions of a value from which on whole arrays are the first choice."""

MOST_GATES = 10
"""Products of values up to which a tangent kernel is derived entry by entry."""


def chosen(module: Module, kind: str) -> Limit:
    """Return the limit by arrays of positions where there are many of them, else by entries.

    Either way serves where the other has no rule. Neurons are sampled where samples depend on each
    other, where neither has a rule, and for tangent kernels of quotients (batch norm) and of many
    gates.

    Raises:
        LimitRefusal: the program has no such kernel, or it needs terms that are not supported.
        MissingRule: an op has no limit rule.
    """
    from tpc.covariance.tails import divides_neurons

    if couples_samples(module):
        return sampled(module, kind)
    if kind == "ntk" and (divides_neurons(module) or gates(module) > MOST_GATES):
        with suppress(LimitRefusal, MissingRule):
            return sampled(module, kind)  # by entries: heavy tails, or moments of many factors
    try:
        return _exact(module, kind)
    except (TooMany, MissingRule) as refusal:
        try:
            return sampled(module, kind)
        except (LimitRefusal, MissingRule):
            raise refusal from None


def gates(module: Module) -> int:
    """Return how many products of values that vary along a width a program has."""
    flat: set[Node] = set()
    count = 0
    for node in walk([module.output.node]):
        wide = node.op is REPEAT and any(dim.width for _, dim in node.attrs["axes"])
        if wide or not node.type.sort or (node.operands and flat.issuperset(node.operands)):
            flat.add(node)  # the same along the width
        varying = [x for x in node.operands if x not in flat and x.type.batched]
        count += node.op is MULTIPLY and len(varying) == 2
    return count


def _exact(module: Module, kind: str) -> Limit:
    if many_positions(module):
        found = by_positions(module, kind)
        return Limit(module, kind, derive(module, kind)) if found is None else found
    try:
        return Limit(module, kind, derive(module, kind))
    except (TooMany, MissingRule):
        found = by_positions(module, kind)
        if found is None:
            raise
        return found


def many_positions(module: Module) -> bool:
    """Whether a value of the forward pass has so many positions that arrays are better."""
    return any(
        node.type.batched and node.type.sort == 1 and node.type.finite_count > MOST_ENTRIES
        for node in walk([module.output.node])
    )


def by_positions(module: Module, kind: str) -> PositionLimit | None:
    """Return the limit by arrays of positions, None where an op has no rule for them."""
    from tpc.covariance import position_kernel

    try:
        kernel = position_kernel(module, (kind,))
    except (LimitRefusal, MissingRule):
        return None
    dims = zip(module.output.node.type.dims, kernel.modes, strict=True)
    counts = [str(dim.count) for dim, mode in dims if mode == "D" and dim.count > 1]
    notes: tuple[str, ...] = ()
    if counts:
        notes = (f"the {' x '.join(counts)} outputs are independent copies with this kernel",)
    return PositionLimit(module, kind, Kernels(kernel.kept, (), (), notes=notes), kernel)


@dataclass(frozen=True, repr=False)
class PositionLimit(Limit):
    """A kernel limit whose recursion runs over arrays of positions.

    ``kernels`` has no entries; ``positions`` is the plan.
    """

    positions: PositionKernel

    @cached_property
    def equations(self) -> tuple[Equation, ...]:
        """The recursion, one equation per array, with indices p of x and q of x'."""
        from tpc.covariance.text import recursion

        return recursion(self.module, self.kind)

    @property
    def vanishes(self) -> bool:
        """Whether the kernel is zero."""
        return self.positions.roots[0] is None

    @property
    def methods(self) -> tuple[str, ...]:
        """Which pairs of positions the recursion runs over."""
        from tpc.covariance.text import methods

        return methods(self.module, self.positions)

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shapes of one sample of the inputs that the output reads."""
        return dict(self.positions.inputs)

    def joint(self, kinds: tuple[str, ...]) -> PositionKernel:
        """Return the plan of kernels of these kinds in one pass."""
        from tpc.covariance import position_kernel

        if kinds == (self.kind,):
            return self.positions
        if kinds not in self._joint:
            self._joint[kinds] = position_kernel(self.module, kinds)
        return self._joint[kinds]

    @cached_property
    def _joint(self) -> dict[tuple[str, ...], PositionKernel]:
        return {}

    @property
    def is_long(self) -> bool:
        """Nothing is compiled for one program only."""
        return False

    def module_text(self, tolerance: float) -> str:
        """Return the plan as the text of a module that needs only NumPy and Numba.

        Raises:
            TpcError: a step of the plan has no text.
        """
        from tpc.covariance.standalone import standalone
        from tpc.covariance.written import UnwritableError

        lines = [
            each if isinstance(each, str) else f"{each.name} = {each.text}"
            for each in shorten(self.equations)
        ]
        text = "\n".join(f"    {line}" for line in lines)
        try:
            return standalone(self.positions, f"{self.title}.", text, tolerance)
        except UnwritableError as error:
            raise TpcError(
                Diagnostic(
                    "E0964",
                    f"this kernel over many positions is not written as a module: {error}",
                    help="evaluate it here: program.limit(...).evaluate(X), tpc run --kind",
                )
            ) from error

    def to_json(self) -> dict[str, Any]:
        """Return what ``tpc derive --json`` prints."""
        from tpc.covariance.text import active

        found = super().to_json()
        return {**found, "weights": list(active(self.module)) if self.kind == "ntk" else []}


class PositionWork:
    """Bands over arrays of positions, block by block on all cores."""

    def __init__(self, limits: Sequence[PositionLimit], X: Any, X2: Any, tolerance: float) -> None:
        from tpc.covariance import Run

        module = limits[0].module
        kinds = tuple(each.kind for each in limits)
        kernel = limits[0].joint(kinds)
        with accurate():
            self.run = Run(kernel, X, X2, tolerance)
        self.source = f"{kinds} {module.source.text}"
        self.data = self.run.data
        self.rows, self.columns = self.run.count, self.run.count2
        self.symmetric = X2 is None and not kernel.kept
        count = 1
        for extent in kernel.kept:
            count *= extent * extent
        self.entries = len(limits) * count
        size = sum(a.size for step in self.run.program.steps for a in step.outputs)
        self.flops = 15.0 * size * pairs(0, self.rows, self.columns, self.symmetric)

    @contextmanager
    def running(self, height: int) -> Iterator[Any]:
        """Return a context that yields the function that computes bands."""
        import numpy as np

        lock = threading.Lock()

        def band(first: int, last: int, result: Any, top: int) -> None:
            mask = np.ones((last - first, self.columns), dtype=bool)
            rows, columns = np.nonzero(np.triu(mask, first) if self.symmetric else mask)

            def put(one: Any, two: Any, values: Any) -> None:
                flat = np.moveaxis(values.reshape(*values.shape[:2], -1), 1, 2)
                with lock:
                    result[:, top + one - first, two] = flat.reshape(self.entries, len(one))

            with accurate():
                self.run.pairs(first + rows, columns, put)

        yield band

    def buffers(self, height: int) -> int:
        """Blocks of pairs have buffers of about one size, whatever the band."""
        return 0

    def mirror(self, first: int, last: int, source: Any, top: int, result: Any) -> None:
        """Copy a band's part right of the diagonal below it."""
        for i in range(first, last):
            result[:, i + 1 :, i] = source[:, top + i - first, i + 1 :]


def position_diagonals(limits: Sequence[PositionLimit], X: Any, tolerance: float) -> Any:
    """Return the kernels of samples with themselves, (kinds, N) and the kept axes twice."""
    import numpy as np

    work = PositionWork(limits, X, None, tolerance)
    kept = work.run.kernel.kept
    found = np.empty((len(limits), work.rows, *kept, *kept))

    def put(one: Any, two: Any, values: Any) -> None:
        found[:, one] = values

    with accurate():
        work.run.pairs(np.arange(work.rows), np.arange(work.rows), put)
    return found


@contextmanager
def accurate() -> Iterator[None]:
    """Report expectations that miss the tolerance as a diagnostic."""
    try:
        yield
    except ArithmeticError as error:
        raise TpcError(
            Diagnostic("E0962", str(error), help="ask for less: evaluate(..., tolerance=1e-6)")
        ) from error
