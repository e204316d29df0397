"""The Python face: programs as frozen values that answer questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from tpc.diagnostics import Diagnostic, Source, TpcError
from tpc.pipeline import Compilation, emit
from tpc.syntax import decode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from tpc.elaborate import Override
    from tpc.feature import FeatureLimit
    from tpc.ir import Module
    from tpc.limit import Limit
    from tpc.limit.flow import Flow
    from tpc.limit.limit import Request
    from tpc.limit.prediction import Prediction
    from tpc.online import Online
    from tpc.phase import Phase
    from tpc.scaling import Classification, Region
    from tpc.session import Session
    from tpc.simulate import Simulation
    from tpc.slopes import Slopes
    from tpc.solved_program import SolvedProgram

_LARGEST_PROGRAM = 16 * 2**20


def compile(
    path: str | Path | None = None,
    *,
    text: str | None = None,
    changes: Mapping[str, Override] | None = None,
) -> Program:
    """Compile a program from a file or from its text.

    ``changes`` are made at once, as by :meth:`Program.with_`: the program without them may have
    errors, such as params that no parametrization scales.

    Raises:
        TpcError: the file cannot be read, or the program has errors (``.diagnostics``).
    """
    if (path is None) == (text is None):
        raise TypeError("compile takes a path or text=..., one of the two")
    source = Source.of(text) if text is not None else read_source(Path(path or ""))
    program = Program(Compilation(source).with_overrides(changes or {}))
    program.elaborated  # noqa: B018 - errors are raised here, not at first use
    return program


def read_source(path: Path) -> Source:
    """Read a program's text.

    Raises:
        TpcError: no such file, not readable, not UTF-8, or absurdly large.
    """
    try:
        size = path.stat().st_size
        if size > _LARGEST_PROGRAM:
            raise _unreadable(path, f"it has {size} bytes, a program at most {_LARGEST_PROGRAM}")
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error


def _unreadable(path: Path, why: str) -> TpcError:
    return TpcError(Diagnostic("E0902", f"cannot read {path}: {why}"))


@dataclass(frozen=True)
class Program:
    """A compiled program. Every method is a question about it; none changes it."""

    compilation: Compilation

    @property
    def module(self) -> Module:
        """The typed IR with its parametrization."""
        return self.compilation.module

    @property
    def elaborated(self) -> Module:
        """The typed IR as the program states it: a parametrization has filled in nothing yet."""
        return self.compilation.elaborated

    @property
    def source(self) -> Source:
        """The program's text."""
        return self.compilation.source

    @property
    def exponents(self) -> tuple[str, ...]:
        """The exponents that have no value yet."""
        return self.elaborated.exponents

    @property
    def notes(self) -> tuple[Diagnostic, ...]:
        """Warnings and notes of the compiler."""
        return self.module.notes

    def with_(self, **changes: Override) -> Program:
        """Return the program with sizes, reals, activations, exponents or parametrization changed.

        Raises:
            TpcError: a name is unknown, or the changed program has errors.
        """
        program = Program(self.compilation.with_overrides(changes))
        program.elaborated  # noqa: B018 - errors are raised here, not at first use
        return program

    def assuming(self, alignment: Mapping[str, Fraction | int | str]) -> Program:
        """Return the program under assumptions on how far weights and what they read are aligned.

        Keys are weights, families or roles, as in ``{"readout": "1/2"}``; the default is full
        alignment, 1. See :func:`tpc.parametrize.assume.assume`.

        Raises:
            TpcError: there is no such weight or role, or a value is not within [1/2, 1].
        """
        program = Program(self.compilation.assuming(alignment))
        program.module  # noqa: B018 - who is meant may hang on roles: errors are raised here
        return program

    def emit(self, stage: str) -> str:
        """Return the text form of a stage of the compiler (``tpc.pipeline.STAGES``)."""
        return emit(self.compilation, stage)

    def classify(
        self,
        alignment: Mapping[str, Fraction | int | str] | None = None,
        **exponents: Fraction | int | str,
    ) -> Classification:
        """Return the class of the program, with values for its symbolic exponents.

        ``alignment`` is assumed as by :meth:`assuming`.

        Raises:
            TpcError: an exponent is unknown or lacks a value, or an op has no scaling rule.
        """
        if alignment:
            return self.assuming(alignment).classify(None, **exponents)
        if not exponents:
            return self.compilation.classification
        return self.with_(**{k: str(v) for k, v in exponents.items()}).classify()

    def region(self) -> Region:
        """Return the exact region of exponents in which training is stable, and its faces."""
        from tpc.scaling import region

        return region(self.module)

    def phase(
        self,
        x: str | None = None,
        y: str | None = None,
        *,
        at: Mapping[str, Fraction | int | str] | None = None,
        through: str | None = None,
    ) -> Phase:
        """Return the phase diagram: the region, named points, and a slice along two exponents.

        See :func:`tpc.phase.phase`.
        """
        from tpc.phase import phase

        values = {name: Fraction(value) for name, value in (at or {}).items()}
        return phase(self.module, x=x, y=y, at=values, through=through)

    def solve(self, gauge: str = "table8", *, everything: bool | None = None) -> SolvedProgram:
        """Return the program at its point of maximal update, solved for by the calculus.

        ``gauge`` is one of ``tpc.scaling.gauges.GAUGES``. What the program states is kept, unless
        ``everything`` is solved for; by default that is so where the program leaves nothing out.

        Raises:
            TpcError: there is no such point, or an op has no scaling rule.
            KeyError: there is no such gauge.
        """
        from tpc.solved_program import solve_program

        return solve_program(self, gauge, everything)

    def largest_rates(self) -> Mapping[str, Fraction]:
        """Return the exponents c of the largest stable learning rates at the program's a and b.

        Raises:
            TpcError: no rates make the program stable, or an op has no scaling rule.
        """
        from tpc.scaling.rates import largest_rates, rates

        return rates(largest_rates(self.module))

    @overload
    def limit(self, kind: Literal["nngp", "ntk"]) -> Limit: ...

    @overload
    def limit(self, kind: Literal["feature"]) -> FeatureLimit: ...

    @overload
    def limit(self, kind: str | None = None) -> Limit | FeatureLimit: ...

    def limit(self, kind: str | None = None) -> Limit | FeatureLimit:
        """Return the limit: ``nngp``, ``ntk``, ``feature``, or what classify says.

        ``train`` of the last two trains the network of infinite width.

        Raises:
            TpcError: the program has no such limit, or an op has no limit rule.
        """
        if kind == "feature" or (kind is None and self._is_feature()):
            return self.feature_limit()
        return self.kernel_limit(kind)

    def kernel_limit(self, kind: str | None = None) -> Limit:
        """Return a kernel limit: ``nngp``, ``ntk``, or the one that classify says.

        Raises:
            TpcError: the program has no such limit, or an op has no limit rule.
        """
        return self.compilation.limit(kind or self._kernel_kind())

    def kernels(
        self,
        X: ArrayLike | Mapping[str, ArrayLike],
        X2: ArrayLike | Mapping[str, ArrayLike] | None = None,
        *,
        kinds: Sequence[Literal["nngp", "ntk"]] = ("nngp", "ntk"),
        diagonal: bool = False,
        **options: Unpack[Request],
    ) -> dict[str, NDArray[np.float64]]:
        """Return kernels between samples by kind, computed in one pass.

        See :meth:`tpc.limit.Limit.evaluate` for the arguments. A file (``out``) holds the kernels
        one after the other along a first axis.

        Raises:
            TpcError: the program has no such limit, or as there.
        """
        from tpc.limit.limit import evaluate_kinds

        limits = [self.kernel_limit(kind) for kind in kinds]
        return evaluate_kinds(limits, X, X2, diagonal=diagonal, **options)

    def _is_feature(self) -> bool:
        return self.module.loss is not None and self.classify().kind == "feature"

    def feature_limit(self) -> FeatureLimit:
        """Return the limit of training in which features may move; ``train`` evaluates it.

        Raises:
            TpcError: an exponent has no value, or an op has no rule for this limit.
        """
        from tpc.feature import feature_limit

        return feature_limit(self.module)

    def online(self) -> Online:
        """Return the compiled step of a program that only looks its weights up.

        Its networks, of finite width or in the limit, train on one sample at a time and touch only
        the rows that the sample names.

        Raises:
            TpcError: the program is not of this kind.
        """
        from tpc.online import online

        return online(self.module)

    def _kernel_kind(self) -> str:
        kind = self.classify().kind if self.module.loss is not None else "nngp"
        if kind in ("kernel", "nngp"):
            return "ntk" if kind == "kernel" else "nngp"
        raise TpcError(
            Diagnostic(
                "E0903",
                f"the program is {kind}: training has no kernel limit here",
                help="ask for the kernels at initialisation with kind nngp or ntk, "
                "or for another parametrization, e.g. --set parametrization=ntk",
            )
        )

    def predict(
        self,
        data: Mapping[str, Any],
        test: Mapping[str, Any],
        *,
        kind: Literal["nngp", "ntk"] | None = None,
        **options: Any,
    ) -> Prediction:
        """Predict at test points from inputs and targets, by default in the limit of classify.

        ``options`` are those of :func:`tpc.limit.prediction.predict`: ``time``, ``ridge`` (a
        number, "loo" or "mll"), ``covariance``, ``centre``, ``solver`` and ``tolerance``.
        """
        from tpc.limit.prediction import predict_data

        return predict_data(self.kernel_limit(kind), data, test, **options)

    def flow(self, data: Mapping[str, np.ndarray], times: Sequence[float], **options: Any) -> Flow:
        """Follow gradient flow under the NTK on the program's own loss, to the given times.

        ``options`` are those of :func:`tpc.limit.flow.flow`: ``test``, ``start``, ``draws``,
        ``seed``, ``tolerance`` and ``accuracy``.
        """
        from tpc.limit.flow import flow

        limit = self.kernel_limit("ntk")
        return flow(limit, lambda: self.kernel_limit("nngp"), data, times, **options)

    def simulate(
        self,
        data: Mapping[str, Any],
        *,
        width: int,
        steps: int = 0,
        test: Mapping[str, np.ndarray] | None = None,
        seeds: Iterable[int] = (0,),
        batches: Sequence[np.ndarray] | None = None,
        record: Sequence[str] = (),
    ) -> Simulation:
        """Run the program at a finite width: see :func:`tpc.simulate.simulate`."""
        from tpc.simulate import simulate

        return simulate(
            self.module,
            data,
            width=width,
            steps=steps,
            test=test,
            seeds=seeds,
            batches=batches,
            record=record,
        )

    def session(
        self, width: int | None = None, *, seed: int = 0, steps: int = 0, particles: int = 2048
    ) -> Session:
        """Return a network to train on a stream of batches: of a width, or (None) in the limit.

        ``steps`` is how many there will be at most, where a schedule or a limit with hidden
        matrices has to know; ``particles`` are for limits that are not exact.

        Raises:
            TpcError: the program has no such limit, does not train, or not at this width.
        """
        from tpc.session import FiniteSession, LimitSession

        if width is None:
            return LimitSession(self.module, seed, steps, particles)
        return FiniteSession(self.module, width, seed, steps)

    def slopes(
        self,
        data: Mapping[str, np.ndarray] | None = None,
        *,
        test: Mapping[str, np.ndarray] | None = None,
        widths: Sequence[int] = (64, 128, 256, 512, 1024),
        seeds: Iterable[int] = range(6),
        steps: int | None = None,
    ) -> Slopes:
        """Measure what :meth:`classify` predicts: see :func:`tpc.slopes.slopes`.

        Without ``data``, random samples of the program's shapes are used.
        """
        from tpc.slopes import slopes
        from tpc.study import random_data

        if data is None:
            data = random_data(self.module, 4)
        found = self.classify()
        return slopes(self.module, found, data, test=test, widths=widths, seeds=seeds, steps=steps)

    def summary(self) -> dict[str, Any]:
        """Return what ``tpc check --json`` prints."""
        from tpc.report.summary import summary

        return summary(self.elaborated, self.source.name)

    def summary_text(self) -> str:
        """Return what ``tpc check`` prints."""
        from tpc.report.summary import summary_text

        return summary_text(self.elaborated, self.source.name)

    def __repr__(self) -> str:
        params = ", ".join(self.elaborated.params)
        return f"<Program {self.source.name}: params {params}>"
