"""What an optimizer line and a param's own declarations say together about one weight."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.diagnostics import Diagnostic, TpcError
from tpc.exact import Coefficient, Constant
from tpc.optimizers.base import Optimizer

if TYPE_CHECKING:
    from tpc.ir.module import Module, OptimizerSpec

ZERO = Coefficient(Constant.of(0))

#: Settings that are words. Sizes do not hang on them, but what is computed does.
WORDED = ("schedule", "decay_on")


@dataclass(frozen=True)
class Settings:
    """How one weight is trained.

    ``rate`` is ``lr n^-c``; ``decay`` the coefficient of weight decay; ``clip`` the bound on the
    global norm of the gradients of the weights in ``group`` (None: no bound); ``options`` the
    optimizer's own numbers, ``eps`` among them. ``schedule`` is how the rate changes from step to
    step, ``decay_on`` which rows decay (None: it does not, all of them).
    """

    optimizer: Optimizer
    rate: Coefficient
    decay: Coefficient
    clip: Coefficient | None
    group: tuple[str, ...]
    options: Mapping[str, Coefficient]
    schedule: str | None = None
    decay_on: str | None = None

    def factor(self, step: int, steps: int) -> Fraction:
        """Return what the schedule multiplies the rate by at step 1, 2, ... of ``steps``."""
        return Fraction(steps - step + 1, steps) if self.schedule == "linear" else Fraction(1)


def settings(module: Module, param: str, knows: Container[str] = ()) -> Settings | None:
    """Return how a weight is trained, or None where it does not move.

    What the param declares (``lr``, ``decay``, ``eps``) replaces what the optimizer line says.
    ``knows`` names those of ``schedule`` and ``decay_on`` that the caller carries out, or whose
    answer does not hang on them.

    Raises:
        TpcError: the optimizer cannot move such a weight, ``eps = faithful`` is not solved yet, or
            the line has a setting that the caller does not know.
        LookupError: the weight's exponent c is not known yet, or no learning rate is given.
    """
    from tpc.optimizers import optimizers

    line = module.optimizer_of(param)
    if line is None:
        return None
    optimizer, spec = optimizers()[line.name], module.params[param]
    if (why := optimizer.refuse(spec.type)) is not None:
        raise TpcError(
            Diagnostic(
                "E0920",
                f"optimizer {line.name} cannot train `{param}`: {why}",
                line.span,
                help=f"give it another one: `optimizer adam(lr = ...) for {param}`",
            )
        )
    values = {option.name: option.default for option in optimizer.options}
    given = {key: value for key, value in line.options.items() if isinstance(value, Coefficient)}
    values |= given
    own = {"decay": spec.decay, "eps": spec.eps} | (
        {} if spec.rate is None else {"lr": Coefficient(spec.rate)}
    )
    values |= {key: value for key, value in own.items() if key in values and value is not None}
    if line.options.get("eps") == "faithful" and spec.eps is None:
        raise TpcError(_unsolved(param, line))
    words = {key: line.options.get(key) for key in WORDED}
    for key, word in words.items():
        values.pop(key)
        if word is not None and key not in knows:
            raise TpcError(_unknown(key, word, line))
    lr = values.pop("lr")
    if lr is None:
        raise LookupError(f"optimizer {line.name} has no learning rate")
    decay = values.pop("decay") or ZERO
    clip = values.pop("clip")
    numbers = {key: value for key, value in values.items() if value is not None}
    rate = lr * Coefficient.width(-spec.exponent("c"))
    return Settings(
        optimizer,
        rate,
        decay,
        clip,
        _group(module, line),
        MappingProxyType(numbers),
        **{key: None if word is None else str(word) for key, word in words.items()},
    )


def _group(module: Module, line: OptimizerSpec) -> tuple[str, ...]:
    return tuple(name for name in module.trained if module.optimizer_of(name) is line)


def _unsolved(param: str, line: OptimizerSpec) -> Diagnostic:
    return Diagnostic(
        "E0921",
        f"eps = faithful of `{param}` has no value yet",
        line.span,
        help="solve for it first (tpc solve, program.solve()), or write a power: eps = 1e-8 * n^-1",
    )


def _unknown(key: str, word: Coefficient | str, line: OptimizerSpec) -> Diagnostic:
    return Diagnostic(
        "E0928",
        f"`{key} = {word}` is not carried out here",
        line.span,
        help="tpc simulate and programs that look words up one sample at a time "
        "(program.online()) know it; elsewhere leave it out",
    )
