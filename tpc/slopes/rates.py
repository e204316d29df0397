"""Learning rates at which slopes can be seen at widths that can be run.

A constant factor on all learning rates changes no exponent, but a rate that is too large at a
finite width diverges before any slope appears, and one that is too small hides the terms of higher
order in the rate, which may be those that rule in the limit (features that move only once the
readout has). The factor is chosen so that training moves values by a part of themselves.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.exact import Coefficient, Constant

if TYPE_CHECKING:
    from tpc.ir.module import Module, OptimizerSpec, ParamSpec
    from tpc.slopes.measure import Probe, Sizes

#: Training should move the value that moves most by this share.
TARGET = 0.3
#: ... or anything in this range, which ends the search.
ACCEPTED = (0.15, 0.6)
#: Values smaller than this are not measured by their own size.
FLOOR = 0.1
_TRIES = 12
_LARGEST = 40


def with_rates(module: Module, factor: Fraction) -> Module:
    """Return the module with all learning rates multiplied by ``factor``.

    Rates of inner steps (``grad`` inside of the program) stay: they are part of the function.
    """
    by = Constant.of(factor)
    params = {name: _param(spec, by) for name, spec in module.params.items()}
    lines = tuple(_line(line, by) for line in module.optimizers)
    return replace(module, params=MappingProxyType(params), optimizers=lines)


def _param(spec: ParamSpec, by: Constant) -> ParamSpec:
    return spec if spec.rate is None else replace(spec, rate=spec.rate * by)


def _line(line: OptimizerSpec, by: Constant) -> OptimizerSpec:
    rate = line.options.get("lr")
    if not isinstance(rate, Coefficient):
        return line
    options = {**line.options, "lr": rate * Coefficient(by)}
    return replace(line, options=MappingProxyType(options))


def movement(sizes: Sizes, outputs: Collection[str]) -> float:
    """Return how far training moved the value that moved most, in units of its size.

    An output that begins smaller than one is measured in units of one, the size of its targets,
    and a hidden value that begins smaller than ``FLOOR`` in units of ``FLOOR``.
    """
    found = []
    for name, moved in sizes.change.items():
        unit = max(sizes.initial[name], 1.0 if name in outputs else FLOOR)
        found.append(moved / unit if math.isfinite(moved) and math.isfinite(unit) else math.inf)
    return max(found, default=0.0)


def rate_factor(probe: Probe, width: int, steps: int, seed: int) -> Fraction:
    """Return the power of two by which to multiply the learning rates.

    Rule: train one network of the given width, and multiply the rates by the power of two that
    would bring the largest relative movement of a named value to ``TARGET`` if it were
    proportional to the rate; repeat until it lies in ``ACCEPTED``, at most a dozen times. A run
    that is not finite, or moves more than a hundredfold, divides the rates by 32.
    """
    power, best, found = 0, math.inf, 0
    tried: set[int] = set()
    for _ in range(_TRIES):
        tried.add(power)
        sizes = probe.sizes(with_rates(probe.module, two(power)), width, steps, seed)
        moved = movement(sizes, probe.outputs)
        distance = abs(math.log(moved / TARGET)) if 0 < moved < math.inf else math.inf
        if distance < best:
            best, found = distance, power
        if moved == 0 or ACCEPTED[0] <= moved <= ACCEPTED[1]:
            break
        power += -5 if moved > 100 else max(-5, min(8, round(math.log2(TARGET / moved))))
        power = max(-_LARGEST, min(_LARGEST, power))
        if power in tried:
            break
    return two(found if best < math.inf else power)


def two(power: int) -> Fraction:
    """Return 2^power."""
    return Fraction(2) ** power
