"""A limit as a value: its equations, its source, and numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError
from tpc.ir.node import walk
from tpc.limit import expressions as ex
from tpc.limit.equations import Equation, equations, shorten
from tpc.limit.kernels import Kernels, derive
from tpc.limit.moment import LimitRefusal
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from tpc.feature import Run
    from tpc.ir.module import Module
    from tpc.ir.node import Node
    from tpc.limit.problem import Start

_READING = (
    "E[f(u) g(v) | S]: u at x and v at x' are Gaussian with covariance S(x, x') and the variances "
    "that S has on its diagonal"
)
MAX_COMPILED = 300
"""Recursions with more expressions per pair are evaluated directly."""
PAIRS = 4096
"""Pairs that are evaluated directly at a time."""
_TITLES = {"nngp": "NNGP kernel", "ntk": "Neural tangent kernel"}


@dataclass(frozen=True)
class Limit:
    """A kernel limit of a program: ``kind`` is "nngp" or "ntk"."""

    module: Module
    kind: str
    kernels: Kernels

    @cached_property
    def equations(self) -> tuple[Equation, ...]:
        """The recursion, one equation per covariance."""
        return equations(self.kernels, self.kind)

    @property
    def title(self) -> str:
        """What the limit is, and of which program."""
        return f"{_TITLES[self.kind]} of {self.module.source.name}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was dropped or assumed, and how expectations are computed."""
        return (*self.kernels.notes, *self.methods)

    @property
    def methods(self) -> tuple[str, ...]:
        """How each nonlinearity's expectation is computed, as sentences."""
        duals = [e for e in ex.walk(self.kernels.entries) if isinstance(e, ex.Dual)]
        closed: dict[str, None] = {}
        series: dict[str, None] = {}
        for e in duals:
            form = e.phi.dual_form() if e.phi == e.psi else None
            (series if form is None else closed)[e.phi.name] = None
        said = []
        if closed:
            said.append(f"closed form: {', '.join(closed)}")
        if series:
            said.append(f"Hermite series to the tolerance asked for: {', '.join(series)}")
        return tuple(said)

    def text(self) -> str:
        """Return title, equations and notes as text; long runs are shortened."""
        lines = [self.title, ""]
        lines += [
            f"  ... {each}" if isinstance(each, str) else f"  {each.name} = {each.text}"
            for each in shorten(self.equations)
        ]
        notes = (
            [_READING, *self.notes] if any("|" in e.text for e in self.equations) else self.notes
        )
        return "\n".join([*lines, "", *(f"  {note}" for note in notes)]).rstrip() + "\n"

    def latex(self) -> str:
        """Return the equations as a LaTeX ``aligned`` block, without delimiters."""
        lines = []
        for each in shorten(self.equations):
            if isinstance(each, str):
                lines.append(rf"& \text{{{each}}}")
            else:
                pair = "" if each.name.endswith("(x)") else "(x, x')"
                lines.append(rf"{latex_name(each.name)}{pair} &= {each.latex}")
        body = " \\\\\n".join(lines)
        return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"

    def markdown(self) -> str:
        """Return title, equations (LaTeX) and notes as Markdown."""
        notes = "\n".join(f"* {note}" for note in self.notes)
        return f"### {self.title}\n\n$$\n{self.latex()}\n$$\n\n{notes}".rstrip() + "\n"

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex()}\n$$"

    def __repr__(self) -> str:
        return f"<Limit {self.kind}: {len(self.equations)} equations>"

    def to_json(self) -> dict[str, Any]:
        """Return what ``tpc derive --json`` prints."""
        return {
            "schema": 1,
            "kind": self.kind,
            "equations": [
                {"name": e.name, "text": e.text, "latex": e.latex} for e in self.equations
            ],
            "axes": list(self.kernels.kept),
            "weights": [name for name, share in self.kernels.parts if not ex.is_zero(share)],
            "notes": list(self.notes),
        }

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shapes of one sample of the inputs that the kernel depends on.

        All that the output reads, where the kernel is a constant.
        """
        names = []
        for e in ex.walk([*self.kernels.entries, *self.kernels.diagonal]):
            if isinstance(e, ex.Gram):
                names += [e.left.name, e.right.name]
            elif isinstance(e, ex.Value):
                names.append(e.place.name)
        output = walk([self.module.output.node])
        used = dict.fromkeys(
            names or [n.attrs["name"] for n in output if n.attrs.get("name") in self.module.inputs]
        )
        return {
            name: tuple(int(dim.count) for dim in spec.type.dims)
            for name, spec in self.module.inputs.items()
            if name in used
        }

    @cached_property
    def source(self) -> str:
        """The generated Python module."""
        return self.module_text(1e-10)

    def module_text(self, tolerance: float) -> str:
        """Return the generated module with another default tolerance."""
        from tpc.codegen import module_source

        lines = [
            each if isinstance(each, str) else f"{each.name} = {each.text}"
            for each in shorten(self.equations)
        ]
        text = "\n".join(f"    {line}" for line in lines)
        return module_source(self.kernels, self.inputs, f"{self.title}.", text, tolerance)

    def write(self, folder: Path, *, tolerance: float = 1e-10) -> tuple[Path, ...]:
        """Write the stand-alone module ``KIND.py`` into a folder; return the paths written.

        Raises:
            TpcError: the folder cannot be written.
        """
        from tpc.storage import write_text

        path = Path(folder) / f"{self.kind}.py"
        write_text(path, self.module_text(tolerance))
        return (path,)

    def evaluate(
        self,
        X: ArrayLike | Mapping[str, ArrayLike],
        X2: ArrayLike | Mapping[str, ArrayLike] | None = None,
        *,
        tolerance: float = 1e-10,
    ) -> NDArray[np.float64]:
        """Return the kernel between samples, (N, N2) and the kept output axes twice.

        ``X`` has shape (N, *input shape), or is a dict from input names to such arrays; ``X2`` is
        X where it is None. ``tolerance`` bounds the error of every expectation without a closed
        form, relative to the second moments of what is averaged.

        Raises:
            TpcError: wrong shapes, NaNs, or a tolerance that cannot be met.
        """
        from tpc.codegen import load

        kernel = load(self.source)
        left, right = _plain(X), None if X2 is None else _plain(X2)
        if self.is_long:
            return self._directly(kernel, left, right, tolerance)
        try:
            found: NDArray[np.float64] = kernel.evaluate(left, right, tolerance, strict=False)
            self._mend(
                found,
                kernel.samples(left),
                kernel.samples(left if X2 is None else right),
                tolerance,
            )
        except ValueError as error:
            raise TpcError(Diagnostic("E0961", f"the samples do not fit: {error}")) from error
        except ArithmeticError as error:
            raise TpcError(
                Diagnostic("E0962", str(error), help="ask for less: evaluate(..., tolerance=1e-6)")
            ) from error
        return found

    def train(
        self,
        data: Mapping[str, Any],
        steps: int,
        *,
        test: Mapping[str, Any] | None = None,
        batches: Sequence[Any] | None = None,
        start: Start = "draw",
        draws: int = 256,
        seed: int = 0,
        tolerance: float = 1e-10,
        progress: Callable[[int, int], None] | None = None,
    ) -> Run:
        """Train in the kernel regime, under the program's own loss and optimizer.

        ``data`` has an array (N, axes) for every input and target, ``test`` the points of interest
        (by default those of ``data``). Every step sees all samples, or those of ``batches[step]``.
        Before training f is a draw of its Gaussian process by ``seed`` (zero where that vanishes),
        or what ``start = (f at data, f at test)`` says. With ``start="mean"`` the result is the
        mean over initialisations: exact for a quadratic loss, else over ``draws`` draws, with its
        standard error. ``tolerance`` bounds the error of the kernels' expectations. See
        :mod:`tpc.limit.descent`.

        Raises:
            TpcError: this is no tangent kernel, data or request do not fit the program, or its
                training is not that of a fixed kernel (adam, weight decay, clipping).
        """
        from tpc.limit.descent import descend

        if self.kind != "ntk":
            raise TpcError(
                Diagnostic(
                    "E0967",
                    "training in the kernel regime is governed by the NTK, not by the NNGP",
                    help='program.limit("ntk").train(...)',
                )
            )
        return descend(
            self,
            lambda: limit(self.module, "nngp"),
            data,
            steps,
            test=test,
            batches=batches,
            start=start,
            draws=draws,
            seed=seed,
            tolerance=tolerance,
            progress=progress,
        )

    @cached_property
    def is_long(self) -> bool:
        """Whether the recursion has so many terms that compiling it would take minutes."""
        return sum(e.cross for e in ex.walk(self.kernels.entries)) > MAX_COMPILED

    def _directly(
        self, kernel: Any, left: Any, right: Any, tolerance: float
    ) -> NDArray[np.float64]:
        """Evaluate the recursion on arrays of pairs, without compiled code."""
        import numpy as np

        from tpc.limit.interpret import interpret

        try:
            first = kernel.samples(left)
            second = first if right is None else kernel.samples(right)
        except ValueError as error:
            raise TpcError(Diagnostic("E0961", f"the samples do not fit: {error}")) from error
        count, count2 = (len(next(iter(side.values()))) for side in (first, second))
        entries = self.kernels.entries
        found = np.empty((count * count2, len(entries)))
        for start in range(0, count * count2, PAIRS):
            rows, columns = np.divmod(np.arange(start, min(start + PAIRS, count * count2)), count2)
            one = {name: a[rows] for name, a in first.items()}
            two = {name: a[columns] for name, a in second.items()}
            for e, values in enumerate(interpret(entries, one, two, tolerance)):
                found[rows * count2 + columns, e] = values
        if right is None:
            own = interpret(tuple(ex.at(0, e) for e in self.kernels.diagonal), first, first, 1e-10)
            for e, values in enumerate(own):
                found[np.arange(count) * (count + 1), e] = values
        kept = self.kernels.kept
        return found.reshape(count, count2, *kept, *kept)

    def _mend(
        self,
        found: NDArray[np.float64],
        left: Mapping[str, Any],
        right: Mapping[str, Any],
        tolerance: float,
    ) -> None:
        """Fill in the pairs whose series was too slow (NaN), by direct quadrature."""
        import numpy as np

        from tpc.limit.interpret import interpret

        flat = found.reshape(*found.shape[:2], -1)
        rows, columns = np.nonzero(np.isnan(flat).any(axis=-1))
        if not rows.size:
            return
        first = {name: array[rows] for name, array in left.items()}
        second = {name: array[columns] for name, array in right.items()}
        values = interpret(self.kernels.entries, first, second, tolerance)
        for entry, value in enumerate(values):
            flat[rows, columns, entry] = value


def _plain(X: ArrayLike | Mapping[str, ArrayLike]) -> Any:
    return dict(X) if isinstance(X, Mapping) else X


def latex_name(name: str) -> str:
    """Return the LaTeX of a kernel's name."""
    from tpc.limit.equations import _Style

    return _Style(True).name(name)


def limit(module: Module, kind: str) -> Limit:
    """Return the limit of a program: ``nngp`` or ``ntk``.

    Raises:
        TpcError: there is no such limit, an op has no limit rule, or the program needs terms that
            are not supported.
    """
    if kind not in _TITLES:
        raise TpcError(Diagnostic("E0960", f"there is no limit of kind {kind!r}: nngp or ntk"))
    try:
        return Limit(module, kind, derive(module, kind))
    except LimitRefusal as refusal:
        raise TpcError(
            Diagnostic("E0963", refusal.message, _span(module, refusal.node), help=refusal.help)
        ) from refusal
    except MissingRule as missing:
        detail = missing.detail or "it is not supported there"
        raise TpcError(
            Diagnostic(
                "E0964",
                f"`{missing.node.op.name}` has no rule for kernel limits here: {detail}",
                _span(module, missing.node),
                help="the class and finite widths do not need it: tpc classify, tpc simulate",
            )
        ) from missing


def _span(module: Module, node: Node | None) -> Any:
    """Return where a node stands in the program; derived nodes stand where their operands do."""
    todo: list[Node] = [] if node is None else [node]
    for each in _breadth(todo):
        if each in module.spans:
            return module.spans[each]
    return None


def _breadth(nodes: list[Node]) -> Iterable[Node]:
    seen = set(nodes)
    for node in nodes:  # grows while it is read
        yield node
        for operand in node.operands:
            if operand not in seen:
                seen.add(operand)
                nodes.append(operand)
