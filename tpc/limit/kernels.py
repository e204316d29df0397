"""The two kernels of a program at initialisation: NNGP and NTK, as expressions.

NNGP: ``E[f(x) f(x')]``. NTK: ``sum over weights of rate * <df(x)/dw, df(x')/dw>``, from the graph
of derivatives by the same moments as the forward pass. Backward vectors count as independent of the
forward ones that share a weight with them, which holds where the output is a sum of readouts of
mean zero that the program uses nowhere else (gradient independence, Yang 2020); this is checked.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.differentiate import gradient
from tpc.exact import Affine, Coefficient
from tpc.ir.node import Node, walk
from tpc.limit import expressions as ex
from tpc.limit.contraction import input_slice, weight_below
from tpc.limit.forms import Entry, Gaussian, Polynomial
from tpc.limit.moments import (
    NOTHING,
    LimitRefusal,
    Moment,
    MomentContext,
    block_size,
    product,
    scaled,
    total,
)
from tpc.ops.base import MissingRule
from tpc.ops.contract import CONTRACT
from tpc.ops.rate import step_coefficient

if TYPE_CHECKING:
    from tpc.ir.module import Module, ParamSpec

MAX_ENTRIES = 20_000


@dataclass(frozen=True)
class Kernels:
    """A derived kernel: one expression per pair of positions of the kept output axes.

    ``diagonal`` are the same at x' = x. ``kept`` are the sizes of those axes; axes whose rows are
    independent copies are dropped.
    ``parts`` are the weights' shares of the NTK (empty for the NNGP). ``notes`` are sentences on
    what was assumed or dropped.
    """

    kept: tuple[int, ...]
    entries: tuple[ex.Expression, ...]
    diagonal: tuple[ex.Expression, ...]
    parts: tuple[tuple[str, ex.Expression], ...] = ()
    notes: tuple[str, ...] = ()


def derive(module: Module, kind: str) -> Kernels:
    """Return the kernel of a kind, ``nngp`` or ``ntk``.

    Raises:
        LimitRefusal: the program has no such kernel, or it needs terms that are not supported.
        MissingRule: an op has no limit rule.
    """
    context = MomentContext(module.params)
    output = module.output.node
    _require_no_transposes(output, context)
    kept, dropped = _axes(output, context)
    places = [_place(output, kept, p) for p in _positions(output, kept)]
    if kind == "nngp":
        notes = _copies_note(output, dropped)
        entries, diagonal = (
            tuple(
                _finite(context.moment((output, a), (output, b), cross), output)
                for a, b in itertools.product(places, places)
            )
            for cross in (True, False)
        )
        return Kernels(_sizes(output, kept), entries, diagonal, notes=notes)
    return _ntk(module, context, output, kept, places, _copies_note(output, dropped))


def _finite(moment: Moment, node: Node) -> ex.Expression:
    """Return the limit of a moment: zero where it vanishes.

    Raises:
        LimitRefusal: it diverges, or its power of the width has no value.
    """
    if moment.is_zero:
        return moment.value
    if not moment.power.is_constant or moment.power.const > 0:
        raise LimitRefusal(
            f"the kernel grows like n^({moment.power}) with the width",
            node,
            "choose a stable parametrization, e.g. parametrization ntk",
        )
    return moment.value if moment.power.const == 0 else ex.number(0)


# -- axes of the output ----------------------------------------------------------------------------


def _axes(output: Node, context: MomentContext) -> tuple[list[int], list[int]]:
    """Return the finite axes that the kernel keeps, and those that it drops."""
    kept: list[int] = []
    dropped: list[int] = []
    for axis, dim in enumerate(output.type.dims):
        if not dim.width:
            (dropped if _copies(output, axis, context) else kept).append(axis)
    return kept, dropped


def _copies(output: Node, axis: int, context: MomentContext) -> bool:
    """Whether the rows along an axis are independent and equal in law."""
    if int(output.type.dims[axis].count) == 1:
        return True
    first = (0,) * output.type.rank
    second = tuple(1 if i == axis else 0 for i in range(output.type.rank))
    own = context.moment((output, first), (output, first))
    other = context.moment((output, second), (output, second))
    between = context.moment((output, first), (output, second))
    return between.is_zero and own.value is other.value


def _positions(output: Node, kept: list[int]) -> list[tuple[int, ...]]:
    positions = list(itertools.product(*(range(int(output.type.dims[a].count)) for a in kept)))
    if len(positions) ** 2 > MAX_ENTRIES:
        raise LimitRefusal(f"the kernel has {len(positions)}^2 entries per pair of inputs", output)
    return positions


def _place(output: Node, kept: list[int], position: tuple[int, ...]) -> tuple[int, ...]:
    place = [0] * output.type.rank
    for axis, i in zip(kept, position, strict=True):
        place[axis] = i
    return tuple(place)


def _sizes(output: Node, kept: list[int]) -> tuple[int, ...]:
    return tuple(int(output.type.dims[axis].count) for axis in kept)


def _copies_note(output: Node, dropped: list[int]) -> tuple[str, ...]:
    counts = [str(output.type.dims[a].count) for a in dropped if output.type.dims[a].count > 1]
    if not counts:
        return ()
    return (f"the {' x '.join(counts)} outputs are independent copies with this kernel",)


# -- what may be taken as independent --------------------------------------------------------------


def _uses(output: Node, context: MomentContext) -> dict[str, set[tuple[int, ...]]]:
    """Return, per weight, the sets of width axes over which the forward pass contracts it."""
    found: dict[str, set[tuple[int, ...]]] = {}
    for node in walk([output]):
        for operand in node.operands:
            param = weight_below(operand)
            if param is None or weight_below(node) is not None:
                continue
            name = param.attrs["name"]
            contracted = _contracted(node, operand)
            if context.params[name].init == "normal":
                found.setdefault(name, set()).add(contracted)
    return found


def _contracted(node: Node, operand: Node) -> tuple[int, ...]:
    if node.op is not CONTRACT:
        return ()
    labels = node.attrs["left" if node.operands[0] is operand else "right"]
    return tuple(i for i in operand.type.width_axes if labels[i] not in node.attrs["out"])


def _require_no_transposes(output: Node, context: MomentContext) -> None:
    """Refuse a weight that meets values along different axes: its products are correlated.

    Raises:
        LimitRefusal: such a weight exists.
    """
    for name, ways in _uses(output, context).items():
        if len(ways) > 1:
            raise LimitRefusal(
                f"the weight {name} is used along two different axes (as W and as its transpose)",
                output,
                "correlations of W x with W^T y (Zdot terms) are not supported in kernels yet",
            )


def _require_independent_readout(output: Node, entry: Entry, context: MomentContext) -> None:
    """Check the simple condition for gradient independence.

    Raises:
        LimitRefusal: the output is not a sum of readouts that are used nowhere else.
    """
    readouts = {}
    todo = [entry]
    while todo:
        here = todo.pop()
        form = context.form(here)
        if isinstance(form, Polynomial) and all(len(e) == 1 for _, e in form.terms):
            todo.extend(e for _, entries in form.terms for e in entries)
        elif isinstance(form, Gaussian):
            readouts[form.param] = here[0]
        else:
            raise LimitRefusal(
                "the output is not a sum of readouts, so its gradient is not independent of it",
                here[0],
                "end the network with a readout V @ z; other outputs need Zdot terms, which are "
                "not supported yet",
            )
    for name, node in readouts.items():
        below = [
            n for operand in node.operands for n in walk([operand]) if weight_below(operand) is None
        ]
        if any(n.attrs.get("name") == name and weight_below(n) is n for n in below):
            raise LimitRefusal(
                f"the readout {name} is used elsewhere in the network too",
                node,
                "its gradient is correlated with the forward pass (Zdot terms): not supported yet",
            )


# -- the tangent kernel ----------------------------------------------------------------------------


def _ntk(
    module: Module,
    context: MomentContext,
    output: Node,
    kept: list[int],
    places: list[tuple[int, ...]],
    notes: tuple[str, ...],
) -> Kernels:
    from tpc.ops.index import index

    moving = moved_params(module)
    leaves = {n.attrs["name"]: n for n in walk([output]) if weight_below(n) is n}
    used = [spec for spec in moving if spec.name in leaves]
    jacobians: list[tuple[Node, ...]] = []
    for place in places:
        _require_independent_readout(output, (output, place), context)
        scalar = output
        for axis in reversed(range(output.type.rank)):
            if output.type.dims[axis].width:
                raise LimitRefusal("an output of growing size has no tangent kernel", output)
            scalar = index(scalar, axis, place[axis])
        jacobians.append(gradient(scalar, [leaves[s.name] for s in used], per_sample=True))
    entries: list[ex.Expression] = []
    parts: dict[str, ex.Expression] = {}
    for left, right in itertools.product(jacobians, jacobians):
        shares = _shares(module, context, used, (left, right), True)
        entries.append(ex.total(shares))
        parts = parts or {spec.name: e for spec, e in zip(used, shares, strict=True)}
    diagonal = [
        ex.total(_shares(module, context, used, pair, False))
        for pair in itertools.product(jacobians, jacobians)
    ]
    notes = (*notes, *_silent(parts))
    return Kernels(
        _sizes(output, kept), tuple(entries), tuple(diagonal), tuple(parts.items()), notes
    )


def _shares(
    module: Module,
    context: MomentContext,
    used: list[ParamSpec],
    jacobians: tuple[tuple[Node, ...], tuple[Node, ...]],
    cross: bool,
) -> list[ex.Expression]:
    """Return what every weight adds to the tangent kernel."""
    found = []
    for spec, g, h in zip(used, *jacobians, strict=True):
        share = scaled(inner(g, h, context, cross), step(module, spec))
        found.append(_finite(share, g))
    return found


def moved_params(module: Module) -> list[ParamSpec]:
    """Return the weights that training moves; all that are not frozen without ``train:``."""
    names = module.trained if module.loss is not None else tuple(module.params)
    return [module.params[name] for name in names if not module.params[name].frozen]


def step(module: Module, spec: ParamSpec) -> Coefficient:
    """Return how far W moves for a unit gradient, in units of the optimizer's rate."""
    coefficient = step_coefficient(spec)
    if spec.rate is None:
        return coefficient
    line = module.optimizer_of(spec.name)
    common = line.options.get("lr") if line is not None else None
    if isinstance(common, Coefficient):
        return coefficient * Coefficient.of(spec.rate) / common
    return coefficient * Coefficient.of(spec.rate)


def _silent(parts: dict[str, ex.Expression]) -> tuple[str, ...]:
    names = [name for name, share in parts.items() if ex.is_zero(share)]
    if not names:
        return ()
    verb = "contributes" if len(names) == 1 else "contribute"
    return (f"{', '.join(names)} {verb} nothing in the limit",)


def inner(g: Node, h: Node, context: MomentContext, cross: bool) -> Moment:
    """Return the limit of the inner product of g at x and h at x' (at x unless ``cross``).

    Raises:
        MissingRule: a matrix that is no sum of outer products.
    """
    memo: dict[tuple[Node, Node], Moment] = {}
    parts_g, parts_h = _addends(g), _addends(h)
    found = []
    for c, a in parts_g:
        for d, b in parts_h:
            if (a, b) not in memo:
                memo[a, b] = _inner_of(a, b, context, cross)
            found.append(scaled(memo[a, b], c * d))
    return total(found)


def _addends(node: Node) -> list[tuple[Coefficient, Node]]:
    from tpc.ops.add import ADD
    from tpc.ops.scale import SCALE

    found, todo = [], [(Coefficient.of(1), node)]
    while todo:
        factor, each = todo.pop()
        if each.op is SCALE:
            todo.append((factor * each.attrs["coefficient"], each.operands[0]))
        elif each.op is ADD and all(o.type.dims == each.type.dims for o in each.operands):
            todo.extend((factor, operand) for operand in reversed(each.operands))
        else:
            found.append((factor, each))
    return found


def _inner_of(a: Node, b: Node, context: MomentContext, cross: bool) -> Moment:
    slices = input_slice(a), input_slice(b)
    if slices[0] is not None and slices[1] is not None:
        return Moment(ex.gram(slices[0], slices[1], cross), Affine.of(0))
    if _is_outer(a) and _is_outer(b) and _pattern(a) == _pattern(b):
        sides = zip(a.operands, b.operands, strict=True)
        return product(*(inner(u, v, context, cross) for u, v in sides))
    if a.type.sort == 2:
        return _matrices(a, b, context, cross)
    return _entrywise(a, b, context, cross)


def _pattern(node: Node) -> tuple[object, ...]:
    return tuple(node.attrs[key] for key in ("left", "right", "out"))


def _is_outer(node: Node) -> bool:
    if node.op is not CONTRACT or node.attrs["sum_batch"]:
        return False
    left, right = node.attrs["left"], node.attrs["right"]
    return not set(left) & set(right) and weight_below(node.operands[0]) is None


def _entrywise(a: Node, b: Node, context: MomentContext, cross: bool) -> Moment:
    extents = [range(dim.concrete(1)) for dim in a.type.dims]
    if a.type.dims != b.type.dims:
        raise MissingRule(a, "limit", "gradients of different axes")
    found = []
    for index in itertools.product(*extents):
        found.append(context.moment((a, index), (b, index), cross))
        if len(found) > MAX_ENTRIES:
            raise LimitRefusal(f"a gradient with more than {MAX_ENTRIES} finite entries", a)
    size = Coefficient.of(1)
    for dim in a.type.dims:
        if dim.width:
            size = size * block_size(dim.count)
    return scaled(total(found), size)


def _matrices(a: Node, b: Node, context: MomentContext, cross: bool) -> Moment:
    """Return the inner product of sums of outer products, by finite positions."""
    found = []
    for left, right in itertools.product(_outer_terms(a), _outer_terms(b)):
        if left[0] != right[0]:
            continue
        rows = context.moment(left[1], right[1], cross)
        found.append(product(rows, context.moment(left[2], right[2], cross)))
    size = Coefficient.of(1)
    for axis in a.type.width_axes:
        size = size * block_size(a.type.dims[axis].count)
    return scaled(total(found), size) if found else NOTHING


def _outer_terms(node: Node) -> list[tuple[tuple[int, ...], Entry, Entry]]:
    """Return (position, row factor, column factor) of a contraction over finite axes."""
    if node.op is not CONTRACT or node.attrs["sum_batch"]:
        raise MissingRule(node, "limit", "a gradient that is no sum of outer products")
    x, y = node.operands
    left, right, out = _pattern_labels(node)
    dims = dict(zip(left, x.type.dims, strict=True)) | dict(zip(right, y.type.dims, strict=True))
    if (
        x.type.sort != 1
        or y.type.sort != 1
        or any(dims[label].width and label not in out for label in dims)
    ):
        raise MissingRule(node, "limit", "a gradient that is no sum of outer products")
    swapped = next(label for label in out if dims[label].width) not in left
    terms = []
    for place in itertools.product(*(range(dims[label].concrete(1)) for label in dims)):
        at = dict(zip(dims, place, strict=True))
        entries = [(x, tuple(at[i] for i in left)), (y, tuple(at[i] for i in right))]
        if swapped:
            entries.reverse()
        terms.append((tuple(at[i] for i in out), entries[0], entries[1]))
    return terms


def _pattern_labels(node: Node) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    return node.attrs["left"], node.attrs["right"], node.attrs["out"]
