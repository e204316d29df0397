"""A limit as a value: its equations, its source, and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from tpc.diagnostics import Diagnostic, TpcError
from tpc.ir.node import walk
from tpc.limit import expressions as ex
from tpc.limit.equations import Equation, equations, shorten
from tpc.limit.kernels import Kernels
from tpc.limit.moment import LimitRefusal
from tpc.limit.refusals import reported
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from tpc.feature import Run
    from tpc.ir.module import Module
    from tpc.limit.bands import DType, Options, Plan
    from tpc.limit.problem import Start

    Resized = Callable[[Mapping[str, int]], Module]

_READING = (
    "E[f(u) g(v) | S]: u at x and v at x' are Gaussian with covariance S(x, x') and the variances "
    "that S has on its diagonal"
)
_TITLES = {"nngp": "NNGP kernel", "ntk": "Neural tangent kernel"}


class Request(TypedDict, total=False):
    """Options of an evaluation, by name; see :class:`tpc.limit.bands.Options`."""

    tolerance: float
    dtype: DType
    memory: int | None
    out: Path | None
    resume: bool
    plan: Callable[[Plan], None] | None
    progress: Callable[[int, int], None] | None
    sampling: float | None


@dataclass(frozen=True)
class Limit:
    """A kernel limit of a program: ``kind`` is "nngp" or "ntk"."""

    module: Module
    kind: str
    kernels: Kernels
    resized: Resized | None = field(default=None, kw_only=True, compare=False)
    """The program at other sizes; None where only this one is known."""

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
        from tpc.limit.pairs import methods

        return (*said, *methods(self.kernels))

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

    @cached_property
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
        from tpc.codegen.drawn import drawn_source
        from tpc.limit.pairs import expectations

        lines = [
            each if isinstance(each, str) else f"{each.name} = {each.text}"
            for each in shorten(self.equations)
        ]
        text = "\n".join(f"    {line}" for line in lines)
        source = drawn_source if expectations(self.kernels) else module_source
        return source(self.kernels, self.inputs, f"{self.title}.", text, tolerance)

    def write(self, folder: Path, *, tolerance: float = 1e-10) -> tuple[Path, ...]:
        """Write the stand-alone module ``KIND.py`` into a folder; return the paths written.

        Raises:
            TpcError: the folder cannot be written.
        """
        from tpc.storage import write_text

        path = Path(folder) / f"{self.kind}.py"
        write_text(path, self.module_text(tolerance))
        return (path,)

    def joint_source(self, others: Sequence[Limit], kernels: Kernels) -> str:
        """Return the generated module of several limits of one program in one pass.

        That of the last ones is kept.
        """
        from tpc.codegen import module_source

        limits = (self, *others)
        kept = self.__dict__.get("_joint")
        if kept is not None and [*map(id, kept[0])] == [*map(id, limits)]:
            return str(kept[1])
        inputs = {name: shape for each in limits for name, shape in each.inputs.items()}
        titles = ", ".join(each.title for each in limits)
        source = module_source(kernels, inputs, f"{titles}.", "", 1e-10)
        self.__dict__["_joint"] = (limits, source)
        return source

    def evaluate(
        self,
        X: ArrayLike | Mapping[str, ArrayLike],
        X2: ArrayLike | Mapping[str, ArrayLike] | None = None,
        *,
        diagonal: bool = False,
        **options: Unpack[Request],
    ) -> NDArray[np.float64]:
        """Return the kernel between samples, (N, N2) and the kept output axes twice.

        ``X`` has shape (N, *input shape), or is a list of N arrays whose lengths differ, or a dict
        of either by input name; ``X2`` is X where it is None. With ``diagonal`` the result is that
        of every sample with itself, (N,) and the axes. The options are those of
        :class:`tpc.limit.bands.Options`: ``tolerance`` bounds the error of every expectation
        without a closed form, relative to the second moments of what is averaged; ``dtype``
        "float32" halves the result (computed in float64, rounded once: relative error 6e-8);
        ``memory`` bounds buffers, in bytes; ``out`` is an .npy file to write and map into memory,
        which ``resume`` takes up after a kill; ``sampling`` bounds the standard error of entries
        with expectations over many Gaussians (:meth:`with_errors`).

        Raises:
            TpcError: wrong shapes, NaNs, a tolerance that cannot be met, no room in memory or on
                the disk.
        """
        from tpc.limit.evaluation import diagonals, evaluate

        if not diagonal:
            right = None if X2 is None else _plain(X2)
            found = evaluate((self,), _plain(X), right, _options(options))
        elif X2 is None:
            found = diagonals((self,), _plain(X), _options(options))
        else:
            raise TypeError("the diagonal is that of samples with themselves: no X2")
        return found[0]  # type: ignore[no-any-return]

    def with_errors(
        self,
        X: ArrayLike | Mapping[str, ArrayLike],
        X2: ArrayLike | Mapping[str, ArrayLike] | None = None,
        *,
        tolerance: float = 1e-10,
        sampling: float | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the kernel and the standard error of every entry (zero where none is sampled).

        Raises:
            TpcError: wrong shapes, NaNs, or a tolerance that cannot be met.
        """
        from tpc.limit.pairs import errors_of

        return errors_of(self, X, X2, tolerance, sampling)

    def other(self, kind: str) -> Limit:
        """Return the limit of another kind of the same program.

        Raises:
            TpcError: there is none.
        """
        return replace(limit(self.module, kind), resized=self.resized)

    @property
    def vanishes(self) -> bool:
        """Whether the kernel is zero."""
        return all(ex.is_zero(e) for e in (*self.kernels.entries, *self.kernels.diagonal))

    @property
    def is_long(self) -> bool:
        """Whether the recursion has so many terms that it is not compiled."""
        from tpc.limit.evaluation import is_long

        return is_long(self.kernels)

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
            lambda: self.other("nngp"),
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


def _plain(X: ArrayLike | Mapping[str, ArrayLike]) -> Any:
    return dict(X) if isinstance(X, Mapping) else X


def _options(given: Request) -> Options:
    from tpc.limit.bands import Options

    if given.get("out") is not None:
        given = {**given, "out": Path(str(given["out"]))}
    return Options(**given)


def evaluate_kinds(
    limits: Sequence[Limit],
    X: ArrayLike | Mapping[str, ArrayLike],
    X2: ArrayLike | Mapping[str, ArrayLike] | None = None,
    *,
    diagonal: bool = False,
    **options: Unpack[Request],
) -> dict[str, NDArray[np.float64]]:
    """Return several kernels of one program by kind, computed in one pass.

    Arguments are those of :meth:`Limit.evaluate`; a file (``out``) holds the kernels one after the
    other along a first axis.
    """
    from tpc.limit.evaluation import diagonals, evaluate

    if diagonal and X2 is not None:
        raise TypeError("the diagonal is that of samples with themselves: no X2")
    if diagonal:
        found = diagonals(limits, _plain(X), _options(options))
    else:
        right = None if X2 is None else _plain(X2)
        found = evaluate(limits, _plain(X), right, _options(options))
    return {each.kind: found[i] for i, each in enumerate(limits)}


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
    from tpc.limit.positions import chosen

    if kind not in _TITLES:
        raise TpcError(Diagnostic("E0960", f"there is no limit of kind {kind!r}: nngp or ntk"))
    with reported(module):
        try:
            return chosen(module, kind)
        except (LimitRefusal, MissingRule) as refusal:
            from tpc.conditional.build import instead

            found = instead(module, kind, refusal)
            if found is None:
                raise
            return found
