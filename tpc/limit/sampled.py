"""Limits whose kernels are computed by sampled neurons (:mod:`tpc.covariance.sampling`).

Where samples of one batch depend on each other (batch norm over the data), the samples that are
evaluated together are the batch, and the kernel is a function of all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError
from tpc.ir.node import walk
from tpc.limit.bands import samples_checked
from tpc.limit.equations import Equation
from tpc.limit.kernels import Kernels
from tpc.limit.limit import Limit
from tpc.limit.pairs import SAMPLING
from tpc.limit.samples import checked
from tpc.ops.batch import couples_samples, two_batches
from tpc.ops.bernoulli import BERNOULLI, require_width
from tpc.storage import replacing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from tpc.covariance.sampling import SampledKernel
    from tpc.feature import Run
    from tpc.ir.module import Module
    from tpc.limit.bands import Options

    Array = NDArray[np.float64]

_BATCH = (
    "the samples of one batch depend on each other: the kernel is that of the batch, all samples "
    "that are evaluated together"
)


def sampled(module: Module, kind: str) -> SampledLimit:
    """Return the limit of a program by sampled neurons.

    Raises:
        MissingRule: an op has no rule for it.
        LimitRefusal: there is no such kernel.
    """
    from tpc.covariance.kernel import deep_recursion
    from tpc.covariance.sampling import sampled_kernel

    for node in walk([module.output.node]):
        if node.op is BERNOULLI:
            require_width(node)  # all neurons share other masks: the kernel given them is random
    with deep_recursion():
        plan = sampled_kernel(module, (kind,))
    return SampledLimit(module, kind, Kernels(plan.kept, (), ()), plan)


@dataclass(frozen=True, repr=False)
class SampledLimit(Limit):
    """A kernel limit whose recursion runs on draws of neurons. ``kernels`` has no entries."""

    plan: SampledKernel

    @property
    def coupled(self) -> bool:
        """Whether samples of one batch depend on each other."""
        return couples_samples(self.module)

    @cached_property
    def active(self) -> tuple[str, ...]:
        """The weights with a share of the tangent kernel."""
        return self.plan.active() if self.kind == "ntk" else ()

    @cached_property
    def equations(self) -> tuple[Equation, ...]:
        """The recursion: functions of a neuron's values, and covariances of Gaussians."""
        from tpc.covariance.batch_text import recursion

        if self.vanishes:
            letter = "K" if self.kind == "nngp" else "Theta"
            return (Equation(letter, "0", "0"),)
        return recursion(self.plan, self.kind, self.active)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the kernel is a function of, and how it is computed."""
        from tpc.limit import notes as notes_on

        output = self.plan.outputs.output
        dropped = [k for k, mode in enumerate(self.plan.outputs.modes) if mode == "D"]
        said = [] if self.vanishes else self._reading()
        said += [_BATCH] if self.coupled else []
        said += [*notes_on.copies(output, dropped), *notes_on.masks(output)]
        if self.kind == "ntk":
            silent = [name for name in self.plan.steps if name not in self.active]
            if silent:
                verb = "contributes" if len(silent) == 1 else "contribute"
                said.append(f"{', '.join(silent)} {verb} nothing in the limit")
            said += notes_on.other_optimizers(self.module)
        power = self.plan.powers[self.kind]
        if self.vanishes and self.kind == "nngp":
            said.append(_vanishing(power))
        if not self.vanishes:
            said.append("sampled neurons, with a standard error for every entry of the kernel")
        return tuple(said)

    def _reading(self) -> list[str]:
        which = "samples of the batch" if self.coupled else "samples"
        said = [
            f"z_W: the values of one neuron at all {which}, Gaussian with covariance Sigma_W; "
            "E averages over neurons",
        ]
        if self.kind == "ntk":
            said.append(
                "df: the derivative of f along tangents of its z, Gaussian with covariance Theta_W,"
                " and along steps of gains and biases"
            )
        return said

    @property
    def vanishes(self) -> bool:
        """Whether the kernel is zero."""
        return self.plan.powers[self.kind] != Fraction(0)

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shapes of one sample of the inputs that the output reads."""
        return dict(self.plan.inputs)

    @property
    def is_long(self) -> bool:
        """Nothing is compiled for one program only."""
        return False

    def text(self) -> str:
        """Return title, equations and notes as text."""
        lines = [self.title, "", *(f"  {each.name} = {each.text}" for each in self.equations), ""]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)]) + "\n"

    def latex(self) -> str:
        """Return the equations as a LaTeX ``aligned`` block, without delimiters."""
        lines = [f"{_latex_name(each.name)} &= {each.latex}" for each in self.equations]
        body = " \\\\\n".join(lines)
        return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"

    def module_text(self, tolerance: float) -> str:
        """Refuse: sampled kernels choose their size by their errors.

        Raises:
            TpcError: always.
        """
        raise TpcError(
            Diagnostic(
                "E0979",
                "this kernel is computed by sampled neurons: it is not written as a stand-alone "
                "module",
                help="evaluate it here: tpc run --kind nngp, or program.limit(...).evaluate(X)",
            )
        )

    def to_json(self) -> dict[str, Any]:
        """Return what ``tpc derive --json`` prints."""
        return {**super().to_json(), "weights": list(self.active)}

    def train(self, data: Mapping[str, Any], steps: int, **options: Any) -> Run:
        """Train in the kernel regime on all samples at once: see :meth:`Limit.train`.

        Raises:
            TpcError: minibatches, or test points, where samples depend on each other.
        """
        if self.coupled and options.get("batches") is not None:
            raise _no_training(
                "minibatches have kernels of their own", "on all samples at every step"
            )
        if self.coupled and options.get("test") is not None:
            raise _no_training("test points are no part of the batch that trains", "without them")
        return super().train(data, steps, **options)

    def with_errors(
        self,
        X: ArrayLike | Mapping[str, ArrayLike],
        X2: ArrayLike | Mapping[str, ArrayLike] | None = None,
        *,
        tolerance: float = 1e-10,
        sampling: float | None = None,
    ) -> tuple[Array, Array]:
        """Return the kernel and the standard error of every entry.

        Raises:
            TpcError: wrong shapes, NaNs, two batches, or a bound that cannot be met.
        """
        value, error = kernels_with_errors([self], X, X2, sampling, tolerance)
        return value[0], error[0]


def _latex_name(name: str) -> str:
    """Return the LaTeX of the left side of an equation: f1, Sigma_W, K."""
    if name.startswith("f"):
        return f"f_{{{name[1:]}}}"
    letter, _, weight = name.partition("_")
    symbol = letter if letter == "K" else f"\\{letter}"
    return (rf"{symbol}_{{\mathtt{{{weight}}}}}" if weight else symbol) + "(x, x')"


def _no_training(why: str, how: str) -> TpcError:
    said = f"the samples of a batch depend on each other: {why}"
    return TpcError(Diagnostic("E0967", said, help=f"train {how}"))


def _vanishing(power: Fraction | None) -> str:
    """Say how large an output is whose kernel vanishes, and where to see its kernel."""
    if power is None:
        return "the output is zero at initialisation"
    factor = "n" if power == -1 else f"n^({-power})"
    return (
        f"the output at initialisation is of size n^({power / 2}): {factor} times its kernel has a "
        "limit, which --set parametrization=ntk derives"
    )


def kernels_with_errors(
    limits: Sequence[Limit], X: Any, X2: Any, sampling: float | None, tolerance: float
) -> tuple[Array, Array]:
    """Return kernels and standard errors (kinds, N, N2, kept axes twice), all from one pass.

    ``sampling`` bounds the errors, by default 1e-3, or the tolerance where that is larger.

    Raises:
        TpcError: wrong shapes, NaNs, two batches, or a bound that cannot be met.
    """
    import numpy as np

    from tpc.covariance.sampling import SamplingError, in_blocks, sampled_kernel
    from tpc.covariance.tails import NormalisationError, NotFiniteError

    first = limits[0]
    if not isinstance(first, SampledLimit) or len({type(each) for each in limits}) > 1:
        parts = [each.with_errors(X, X2, sampling=sampling, tolerance=tolerance) for each in limits]
        return np.stack([part[0] for part in parts]), np.stack([part[1] for part in parts])
    if X2 is not None and first.coupled:
        raise two_batches()
    kinds = tuple(each.kind for each in limits)
    plan = first.plan if len(kinds) == 1 else sampled_kernel(first.module, kinds)
    with samples_checked():
        left = checked(plan.inputs, X)
        right = None if X2 is None else checked(plan.inputs, X2)
    bound = max(SAMPLING, tolerance) if sampling is None else sampling
    try:
        if first.coupled:
            return plan.evaluate(left, kinds, bound)
        return in_blocks(plan, left, right, kinds, bound)
    except (NormalisationError, NotFiniteError) as lost:
        help = "give the normalisation a constant below its root, eps = 1e-5, or more samples"
        raise TpcError(Diagnostic("E0982", str(lost), help=help)) from lost
    except SamplingError as missed:
        help = f"ask for less: evaluate(..., sampling={10 * bound:g})"
        raise TpcError(Diagnostic("E0962", str(missed), help=help)) from missed


def evaluate(limits: Sequence[Limit], X: Any, X2: Any, options: Options) -> Array:
    """Return kernels (kinds, N, N2, kept axes twice); with ``out`` they are written there too.

    Raises:
        TpcError: wrong shapes, NaNs, two batches, or a bound that cannot be met.
    """
    found = kernels_with_errors(limits, X, X2, options.sampling, options.tolerance)[0]
    return written(found, options.out, options.dtype)


def written(found: Array, out: Any, dtype: str) -> Array:
    """Return kernels (kinds, ...) as a type of numbers, written to ``out`` where that is given."""
    import numpy as np

    found = found.astype(dtype, copy=False)
    if out is not None:
        with replacing(Path(str(out))) as file:
            np.save(file, found[0] if len(found) == 1 else found)
    return found


def diagonals(limits: Sequence[Limit], X: Any, options: Options) -> Array:
    """Return the kernels of samples with themselves, (kinds, N) and the kept axes twice.

    Raises:
        TpcError: wrong shapes, NaNs, or a bound that cannot be met.
    """
    import numpy as np

    found = kernels_with_errors(limits, X, None, options.sampling, options.tolerance)[0]
    own = np.arange(found.shape[1])
    return np.asarray(found[:, own, own], options.dtype)
