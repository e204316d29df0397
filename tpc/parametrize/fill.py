"""Filling in the exponents that params leave out, from a named parametrization.

``mup`` is solved for (``tpc.scaling.solve``); only where that is not possible is its table used,
and a remark says so. The tables hold one gauge of each parametrization (Yang & Hu 2020, TP4, for
SGD; Yang & Littwin 2023, TP4b, and Yang et al. 2021, TP5, for scale-free optimizers). What a param
states itself is kept: the table's row is moved along its gauge symmetry
``(a, b, c) -> (a + t, b - t, c - 2t)`` (SGD), or ``c - t`` (scale-free), to meet it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

from tpc.diagnostics import Diagnostic, TpcError
from tpc.exact import Affine
from tpc.ir.module import Module, ParamSpec
from tpc.parametrize.roles import Role, roles

_HALF = Fraction(1, 2)
Row = tuple[Fraction | int, Fraction | int, Fraction | int]
_VECTOR_LIKE = (Role.BIAS, Role.GAIN, Role.TIED)


def _table(input_: Row, hidden: Row, readout: Row) -> Mapping[Role, Row]:
    rows = {Role.INPUT: input_, Role.HIDDEN: hidden, Role.READOUT: readout, Role.SCALAR: (0, 0, 0)}
    return MappingProxyType(rows | dict.fromkeys(_VECTOR_LIKE, input_))


#: Rows (a, b, c) for gradient descent and what is linear in gradients.
SGD_TABLES: Mapping[str, Mapping[Role, Row]] = {
    "standard": _table((0, 0, 0), (0, _HALF, 0), (0, _HALF, 0)),
    "ntk": _table((0, 0, 0), (_HALF, 0, 0), (_HALF, 0, 0)),
    "mean_field": _table((0, 0, -1), (1, 0, -2), (1, 0, -1)),
    "mup": _table((-_HALF, _HALF, 0), (0, _HALF, 0), (_HALF, _HALF, 0)),
}

#: Rows (a, b, c) for optimizers whose step does not depend on the gradient's scale.
SCALE_FREE_TABLES: Mapping[str, Mapping[Role, Row]] = {
    "standard": _table((0, 0, 0), (0, _HALF, 0), (0, _HALF, 0)),
    "ntk": _table((0, 0, _HALF), (_HALF, 0, 1), (_HALF, 0, _HALF)),
    "mean_field": _table((0, 0, 0), (1, 0, 0), (1, 0, 0)),
    "mup": _table((-_HALF, _HALF, _HALF), (0, _HALF, 1), (_HALF, _HALF, _HALF)),
}


def parametrize(module: Module, name: str | None = None) -> Module:
    """Return the module with every param's missing exponents filled in.

    ``name`` is ``standard``, ``ntk``, ``mean_field`` or ``mup``; by default the program's own.
    A module in which nothing is missing comes back as it is.
    """
    name = name or module.parametrization
    if all(None not in (spec.a, spec.b, spec.c) for spec in module.params.values()):
        return module
    if name is None:
        raise LookupError("params lack exponents and the program names no parametrization")
    filled = _solved(module) if name == "mup" else _by_role(module, name)
    return replace(filled, parametrization=name)


def _by_role(module: Module, name: str) -> Module:
    found = roles(module)
    params = {
        param: fill_row(spec, *_row(module, param, name, found[param]))
        for param, spec in module.params.items()
    }
    return replace(module, params=MappingProxyType(params))


def _solved(module: Module) -> Module:
    """Return the module at its point of maximal update, remarks of what could not be had noted."""
    from tpc.scaling.solve import find
    from tpc.scaling.solved import obstacle, with_faithful_eps

    if module.exponents:  # a family of programs: each has a point of its own
        return _by_role(module, "mup")
    try:
        point = find(module)
    except TpcError as error:
        remark = _remark("the exponents of mup are by role", error.diagnostics[0])
        return replace(_by_role(module, "mup"), notes=(*module.notes, remark))
    params = {
        name: replace(spec, a=Affine.of(at.a), b=Affine.of(at.b), c=Affine.of(at.c))
        for (name, spec), at in zip(module.params.items(), point.triples.values(), strict=True)
    }
    filled = with_faithful_eps(replace(module, params=MappingProxyType(params)), point)
    met = (obstacle(module, point, value) for value in point.finding.obstacles[:1])
    return replace(filled, notes=(*filled.notes, *(replace(d, severity="warning") for d in met)))


def _remark(what: str, why: Diagnostic) -> Diagnostic:
    return replace(why, headline=f"{what}: {why.headline}", severity="warning")


def _row(module: Module, param: str, name: str, role: Role) -> tuple[Row, int]:
    """Return the table's row for a weight and how c moves along its gauge symmetry."""
    from tpc.optimizers import optimizers

    line = module.optimizer_of(param)
    if line is not None and optimizers()[line.name].scale_free:
        return SCALE_FREE_TABLES[name][role], 1
    return SGD_TABLES[name][role], 2


def fill_row(spec: ParamSpec, row: Row, gauge: int) -> ParamSpec:
    """Fill a param's missing exponents from a row, shifted so as to agree with what it states."""
    a, b, c = (Affine.of(Fraction(entry)) for entry in row)
    shift = Affine.of(0)
    if spec.a is not None:
        shift = spec.a - a
    elif spec.b is not None:
        shift = b - spec.b
    return replace(
        spec,
        a=a + shift if spec.a is None else spec.a,
        b=b - shift if spec.b is None else spec.b,
        c=c - shift * gauge if spec.c is None else spec.c,
    )
