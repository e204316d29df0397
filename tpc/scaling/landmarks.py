"""Where the named parametrizations stand among the exponents of a program.

A named parametrization fixes, for each weight, the entry exponent p = a + b of its initial value
and the exponent q of the coefficient of its update; a, b and c themselves only up to the gauge
symmetry ``(a, b, c) -> (a + t, b - t, c - k t)``, k = 2 where steps are linear in gradients, 1
where they are scale-free, 0 where they are relative to the weight (Yang & Hu 2020, TP4; Yang &
Littwin 2023, TP4b). In the space of a program's exponents it is therefore an affine subspace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.diagnostics import TpcError
from tpc.exact import Affine
from tpc.ir.node import walk
from tpc.ops.scale import SCALE
from tpc.optimizers import optimizers
from tpc.parametrize import Role, parametrize, roles
from tpc.scaling.classify import classify
from tpc.scaling.polyhedron import Point, Polyhedron
from tpc.scaling.unknowns import MULTIPLICITY

if TYPE_CHECKING:
    from tpc.ir.module import Module, ParamSpec
    from tpc.scaling.classification import Classification, Kind

NAMES = ("standard", "ntk", "mean_field", "mup")


@dataclass(frozen=True)
class Landmark:
    """A named parametrization of a program.

    ``places`` are the values of the program's exponents that express it, up to gauges (empty where
    none do); ``home`` are the equations of its own gauge. ``found`` classifies the program under
    it, None where powers of the width in expressions have unknown exponents.
    """

    name: str
    places: Polyhedron
    home: tuple[Affine, ...]
    found: Classification | None

    @property
    def kind(self) -> Kind | None:
        """The class of the program under this parametrization."""
        return None if self.found is None else self.found.kind

    @cached_property
    def point(self) -> Point | None:
        """The point that expresses it in its own gauge, or as nearly as may be; None: nowhere."""
        return settle(self.places, self.home)


def settle(places: Polyhedron, wishes: Iterable[Affine]) -> Point | None:
    """Return a point of a polyhedron at which forms are zero, as many of the first ones as can be.

    What stays free is zero. None where the polyhedron is empty.
    """
    if places.is_empty:
        return None
    for form in (*wishes, *map(Affine.symbol, places.symbols)):
        smaller = places.with_constraints((), [form])
        if not smaller.is_empty:
            places = smaller
    return places.point()


def landmarks(module: Module) -> tuple[Landmark, ...]:
    """Return the named parametrizations of a program with symbolic exponents.

    Mean field is left out where a weight maps the width to the width: there it vanishes.

    Raises:
        TpcError: an op or optimizer has no rule for exponents.
    """
    hidden = Role.HIDDEN in roles(module).values()
    names = [name for name in NAMES if not (hidden and name == "mean_field")]
    return tuple(mark for mark in (_landmark(module, name) for name in names) if mark is not None)


def _landmark(module: Module, name: str) -> Landmark | None:
    left = tuple(s for s in module.exponents if s in _symbols_of_expressions(module))
    bare = {p: replace(spec, a=None, b=None, c=None) for p, spec in module.params.items()}
    empty = replace(module, params=MappingProxyType(bare), exponents=left, parametrization=name)
    try:
        named = parametrize(empty, name)
    except TpcError:  # no maximal update exists
        return None
    exponents = tuple(_equations(module, named))
    return Landmark(
        name,
        Polyhedron(module.exponents, (), exponents),
        tuple(_own_gauge(module, named)),
        None if left else classify(named),
    )


def _symbols_of_expressions(module: Module) -> set[str]:
    roots = [value.node for value in (*module.values, *module.outputs)]
    roots += [] if module.loss is None else [module.loss]
    return {
        symbol
        for node in walk(roots)
        if node.op is SCALE
        for symbol in node.attrs["coefficient"].power.symbols
    }


def _equations(module: Module, named: Module) -> Iterator[Affine]:
    """Yield forms that vanish where the program is the named one, up to gauges."""
    for name, spec in module.params.items():
        wanted = named.params[name]
        if spec.init == "normal":
            yield spec.entry_exponent - wanted.entry_exponent
        times = _multiplicity(module, name)
        if times is not None:
            yield _update(spec, times) - _update(wanted, times)


def _update(spec: ParamSpec, times: int) -> Affine:
    return spec.exponent("a") * times + spec.exponent("c")


def _multiplicity(module: Module, name: str) -> int | None:
    line = module.optimizer_of(name)
    return None if line is None else MULTIPLICITY[optimizers()[line.name].kind]


def _own_gauge(module: Module, named: Module) -> Iterator[Affine]:
    for name, spec in module.params.items():
        for which in ("a", "b", "c"):
            yield spec.exponent(which) - named.params[name].exponent(which)


def named(marks: Iterable[Landmark]) -> Mapping[str, Landmark]:
    """Return landmarks by name."""
    return {mark.name: mark for mark in marks}
