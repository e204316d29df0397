"""Kernel limits of programs with random scalars, as values like other limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from tpc.conditional.averaging import Averaging, Conditional, Mean
from tpc.conditional.cut import Cut
from tpc.conditional.joint import Joint
from tpc.conditional.law import Level
from tpc.conditional.recursion import recursion
from tpc.diagnostics import Diagnostic, TpcError
from tpc.ir.node import walk
from tpc.limit.limit import Limit, Request
from tpc.limit.sampled import written
from tpc.limit.samples import checked
from tpc.ops.bernoulli import BERNOULLI

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from tpc.limit.equations import Equation

    Array = NDArray[np.float64]
    Samples = ArrayLike | Mapping[str, ArrayLike]

SAMPLING = 1e-2
"""Default of the largest standard error, relative to the diagonal of the kernel."""


@dataclass(frozen=True, repr=False, kw_only=True)
class ConditionalLimit(Limit):
    """A kernel that is an average over random scalars of the kernels given them.

    ``cut`` is the program with the scalars as inputs, ``levels`` are their laws, ``behind`` is the
    NNGP of the cut program and ``tangent`` its NTK (None where there is none, or for an NNGP).
    """

    cut: Cut
    levels: tuple[Level, ...]
    behind: Limit
    tangent: Limit | None
    parts: tuple[Mapping[str, Any], ...] = ()

    @property
    def vanishes(self) -> bool:
        """Whether the kernel is zero."""
        return self.kind == "nngp" and self.behind.vanishes

    @property
    def is_long(self) -> bool:
        """Nothing is compiled for one program only."""
        return False

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shapes of one sample of the inputs that the kernel depends on."""
        names = {s.name for s in self.cut.scalars}
        roots = [self.cut.module.output.node, *(s.node for s in self.cut.scalars)]
        used = {n.attrs.get("name") for n in walk(roots) if not n.operands}
        return {
            name: tuple(int(dim.count) for dim in spec.type.dims)
            for name, spec in self.module.inputs.items()
            if name in used and name not in names
        }

    @cached_property
    def equations(self) -> tuple[Equation, ...]:
        """The recursion given the scalars; their laws are in :attr:`laws`."""
        return (self.tangent or self.behind).equations

    @property
    def methods(self) -> tuple[str, ...]:
        """How expectations, and the averages over the scalars, are computed."""
        return (
            *(self.tangent or self.behind).methods,
            "averages over the scalars: draws for all samples together, with a standard error for "
            "every entry of the kernel",
        )

    def text(self) -> str:
        """Return title, laws, equations and notes as text; long runs are shortened."""
        from tpc.conditional.text import text

        return text(self)

    def latex(self) -> str:
        """Return laws and equations as a LaTeX ``aligned`` block, without delimiters."""
        from tpc.conditional.text import latex

        return latex(self)

    def to_json(self) -> dict[str, Any]:
        """Return what ``tpc derive --json`` prints."""
        from tpc.conditional.text import laws

        found = super().to_json()
        scalars = [
            {"name": s.name, "axes": list(s.shape), "level": s.level} for s in self.cut.scalars
        ]
        said = [
            {"name": e.name, "text": e.text, "latex": e.latex}
            for law in laws(self)
            for e in law.equations
        ]
        weights = (self.tangent or self.behind).to_json()["weights"]
        return {**found, "weights": weights, "scalars": scalars, "laws": said}

    def module_text(self, tolerance: float) -> str:
        """Refuse a stand-alone module.

        Raises:
            TpcError: always.
        """
        raise TpcError(
            Diagnostic(
                "E0979",
                "this kernel is an average over numbers that stay random: it is not written as a "
                "stand-alone module",
                help="evaluate it here: tpc run --kind, or program.limit(...).evaluate(X)",
            )
        )

    def evaluate(
        self,
        X: Samples,
        X2: Samples | None = None,
        *,
        diagonal: bool = False,
        **options: Unpack[Request],
    ) -> Array:
        """Return the kernel between samples; see :meth:`tpc.limit.Limit.evaluate`.

        ``sampling`` (1e-2 by default) bounds the standard error of every entry, relative to the
        diagonal.

        Raises:
            TpcError: wrong shapes, NaNs, too many samples, or an error that is not met.
        """
        if not self._are_parts(X, X2):
            return super().evaluate(X, X2, diagonal=diagonal, **options)
        bounds = options.get("tolerance", 1e-10), options.get("sampling")
        found = self.averaged(X, X2, *bounds, options.get("progress"))[0]
        if diagonal:
            found = found[np.arange(len(found)), np.arange(len(found))]
        kept = written(found[None], options.get("out"), options.get("dtype", "float64"))
        return np.asarray(kept[0])

    def with_errors(
        self,
        X: Samples,
        X2: Samples | None = None,
        *,
        tolerance: float = 1e-10,
        sampling: float | None = None,
    ) -> tuple[Array, Array]:
        """Return the kernel and the standard error of every entry.

        Raises:
            TpcError: wrong shapes, NaNs, too many samples, or an error that is not met.
        """
        return self.averaged(X, X2, tolerance, sampling)

    def together(self, *parts: Mapping[str, Any]) -> ConditionalLimit:
        """Return the limit with the samples of ``parts`` (told by identity) drawn together.

        Kernels between them are then parts of one average, positive semidefinite as a whole.
        """
        return replace(self, parts=parts)

    def averaged(
        self,
        X: Samples,
        X2: Samples | None,
        tolerance: float = 1e-10,
        sampling: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> tuple[Array, Array]:
        """Return the kernel (N, N2, kept axes twice) and its standard errors."""
        if self._are_parts(X, X2):
            key = (tolerance, sampling)
            if key not in self._known:
                union = {
                    name: np.concatenate([np.asarray(part[name]) for part in self.parts])
                    for name in self.inputs
                }
                alone = replace(self, parts=())
                self._known[key] = alone.averaged(union, None, tolerance, sampling, progress)
            rows, columns = (np.arange(*self._place(each)) for each in (X, X if X2 is None else X2))
            value, error = (each[np.ix_(rows, columns)] for each in self._known[key])
            return value, error
        left = self._samples(X)
        count = len(next(iter(left.values())))
        if X2 is None:
            rows, columns = np.triu_indices(count, 1)
            found = self._run(left, rows, columns, tolerance, sampling).mean(progress)
            return self._square(found, rows, columns, count)
        right = self._samples(X2)
        count2 = len(next(iter(right.values())))
        rows, columns = np.divmod(np.arange(count * count2), count2)
        both = {name: np.concatenate([left[name], right[name]]) for name in left}
        found = self._run(both, rows, count + columns, tolerance, sampling).mean(progress)
        shape = (count, count2, *self.kernels.kept, *self.kernels.kept)
        return found.pairs.reshape(shape), found.pairs_error.reshape(shape)

    def _are_parts(self, X: Any, X2: Any) -> bool:
        """Whether samples are some that were given to be drawn together."""
        sides = (X, X if X2 is None else X2)
        return len(self.parts) > 1 and all(any(p is each for p in self.parts) for each in sides)

    def _place(self, samples: Any) -> tuple[int, int]:
        """Return where a part lies in the union."""
        counts = [len(next(iter(part.values()))) for part in self.parts]
        k = next(k for k, part in enumerate(self.parts) if part is samples)
        return sum(counts[:k]), sum(counts[: k + 1])

    @cached_property
    def _known(self) -> dict[Any, tuple[Array, Array]]:
        return {}

    def diagonals(
        self, X: Samples, tolerance: float = 1e-10, sampling: float | None = None
    ) -> Array:
        """Return the kernel of every sample with itself, (N,) and the kept axes twice."""
        data = self._samples(X)
        none = np.empty(0, dtype=np.intp)
        # samples do not meet, so that they need no joint law
        found = [
            self._run({n: v[k : k + 1] for n, v in data.items()}, none, none, tolerance, sampling)
            for k in range(len(next(iter(data.values()))))
        ]
        shape = (len(found), *self.kernels.kept, *self.kernels.kept)
        return np.stack([each.mean().own[0] for each in found]).reshape(shape)

    def draws(self, X: Samples, count: int = 16, *, tolerance: float = 1e-10) -> Array:
        """Return covariances of f given draws of the scalars, (count, N, N) and kept axes twice.

        Each belongs to one network of infinite width: given its scalars f is a Gaussian process.

        Raises:
            TpcError: wrong shapes, NaNs, too many samples, or this is a tangent kernel, which hangs
                on the readouts' draws too.
        """
        if self.kind != "nngp":
            raise TpcError(
                Diagnostic(
                    "E0960",
                    "draws are of the covariance given the random scalars",
                    help='program.limit("nngp").draws(X)',
                )
            )
        data = self._samples(X)
        size = len(next(iter(data.values())))
        rows, columns = np.triu_indices(size, 1)
        run = self._run(data, rows, columns, tolerance, None)
        parts: list[Array] = []
        for _, drawn in run.batches(count):
            pairs, own = run.given(drawn)
            for one, two in zip(pairs, own, strict=True):
                given = Mean(one, one, two, two, 1)
                parts.append(self._square(given, rows, columns, size)[0])
            if len(parts) >= count:
                break
        return np.stack(parts[:count])

    def _square(self, found: Mean, rows: Any, columns: Any, count: int) -> tuple[Array, Array]:
        """Return kernel and errors (N, N, kept axes twice) from the pairs above the diagonal."""
        size = self.kernels.kept
        tables = []
        for pairs, own in ((found.pairs, found.own), (found.pairs_error, found.own_error)):
            table = np.empty((count, count, *pairs.shape[1:]))
            table[rows, columns] = pairs
            table[columns, rows] = pairs.swapaxes(1, 2)
            table[np.arange(count), np.arange(count)] = own
            tables.append(table.reshape(count, count, *size, *size))
        return tables[0], tables[1]

    def _run(
        self,
        data: dict[str, Any],
        rows: Any,
        columns: Any,
        tolerance: float,
        sampling: float | None,
    ) -> Averaging:
        bound = SAMPLING if sampling is None else sampling
        loose = max(tolerance, 1e-3 * bound) if self.kind == "nngp" else tolerance
        kernel = Conditional(
            recursion(self.behind, loose),
            None if self.tangent is None else recursion(self.tangent, loose),
            self.kind == "ntk",
            any(n.op is BERNOULLI for n in walk([self.cut.module.output.node])),
        )
        joint = Joint(self.levels, data, tolerance)
        return Averaging(joint, kernel, rows, columns, bound)

    def _samples(self, X: Samples) -> dict[str, Any]:
        given = dict(X) if isinstance(X, Mapping) else X
        try:
            return checked(self.inputs, given)
        except ValueError as error:
            raise TpcError(Diagnostic("E0961", f"the samples do not fit: {error}")) from error
