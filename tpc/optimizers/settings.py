"""What an optimizer line and a param's own declarations say together about one weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.diagnostics import Diagnostic, TpcError
from tpc.exact import Coefficient, Constant
from tpc.optimizers.base import Optimizer

if TYPE_CHECKING:
    from tpc.ir.module import Module, OptimizerSpec

ZERO = Coefficient(Constant.of(0))


@dataclass(frozen=True)
class Settings:
    """How one weight is trained.

    ``rate`` is ``lr n^-c``; ``decay`` the coefficient of weight decay; ``clip`` the bound on the
    global norm of the gradients of the weights in ``group`` (None: no bound); ``options`` the
    optimizer's own numbers, ``eps`` among them.
    """

    optimizer: Optimizer
    rate: Coefficient
    decay: Coefficient
    clip: Coefficient | None
    group: tuple[str, ...]
    options: Mapping[str, Coefficient]


def settings(module: Module, param: str) -> Settings | None:
    """Return how a weight is trained, or None where it does not move.

    What the param declares (``lr``, ``decay``, ``eps``) replaces what the optimizer line says.

    Raises:
        TpcError: the optimizer cannot move such a weight, or ``eps = faithful`` is not solved yet.
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
    lr = values.pop("lr")
    if lr is None:
        raise LookupError(f"optimizer {line.name} has no learning rate")
    decay = values.pop("decay") or ZERO
    clip = values.pop("clip")
    numbers = {key: value for key, value in values.items() if value is not None}
    rate = lr * Coefficient.width(-spec.exponent("c"))
    return Settings(optimizer, rate, decay, clip, _group(module, line), MappingProxyType(numbers))


def _group(module: Module, line: OptimizerSpec) -> tuple[str, ...]:
    return tuple(name for name in module.trained if module.optimizer_of(name) is line)


def _unsolved(param: str, line: OptimizerSpec) -> Diagnostic:
    return Diagnostic(
        "E0921",
        f"eps = faithful of `{param}` has no value yet",
        line.span,
        help="solve for it first (tpc solve, program.solve()), or write a power: eps = 1e-8 * n^-1",
    )
