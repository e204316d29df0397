"""Covariances of contractions: weights against values, and numbers against values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.covariance.arrays import Array, Quantity, Value, extents, pair_shape
from tpc.covariance.gaussians import independent
from tpc.covariance.steps import Combine, Mix
from tpc.covariance.values import STAGE, both, scaled
from tpc.exact import Coefficient
from tpc.limit.contraction import weight_below
from tpc.limit.moment import block_size, power_of
from tpc.ops.base import MissingRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tpc.covariance.engine import View
    from tpc.ir.node import Node

Labels = tuple[int, ...]
MOVES = ("index", "slice", "part", "transpose", "reshape")


def contraction(left: Node, right: Node, modes: str, view: View) -> Value:
    """Return the covariances of two contractions of the same kind.

    Raises:
        MissingRule: products of values, or of two weights.
    """
    if any(node.attrs["sum_batch"] for node in (left, right)):
        raise MissingRule(left, STAGE, "a sum over the samples of a batch")
    slots = [_weight_slot(node) for node in (left, right)]
    if None not in slots:
        return _weighted(left, right, modes, view)
    if slots != [None, None]:
        raise MissingRule(left, STAGE, "covariances of a weight's values and others")
    return _mixed(left, right, modes, view)


def _weight_slot(node: Node) -> int | None:
    found = [k for k, x in enumerate(node.operands) if weight_below(x) is not None]
    if len(found) > 1:
        raise MissingRule(node, STAGE, "a product of two weights")
    return found[0] if found else None


def _parts(node: Node) -> tuple[Node, Node, Labels, Labels, Labels]:
    """Return weight, value, their labels and those of the result."""
    slot = _weight_slot(node)
    sides = (node.attrs["left"], node.attrs["right"])
    assert slot is not None
    return (
        node.operands[slot],
        node.operands[1 - slot],
        sides[slot],
        sides[1 - slot],
        node.attrs["out"],
    )


def _weighted(left: Node, right: Node, modes: str, view: View) -> Value:
    holder, x, of_weight, of_value, out = _parts(left)
    other, y, *labels = _parts(right)
    name, second = (weight_below(h).attrs["name"] for h in (holder, other))  # type: ignore[union-attr]
    if name != second or _apart(holder, other):
        return Value()
    if holder is not other or labels != [of_weight, of_value, out]:
        raise MissingRule(left, STAGE, "one weight used in two ways")
    _require_moves(holder)
    if view.engine.params[name].init == "one":
        raise MissingRule(left, STAGE, "a contraction with ones")
    dims = dict(zip((*of_weight, *of_value), (*holder.type.dims, *x.type.dims), strict=True))
    mode = dict(zip(out, modes, strict=True))
    inner, size = "", Coefficient.of(1)
    for label in of_value:
        inner += _inner_mode(mode.get(label), label in of_weight)
    for label in of_weight:
        if label not in out and dims[label].width:
            size = size * block_size(dims[label].count)
    value = _grown(view.request(x, y, inner), name, size, view)
    sizes = {label: dim.concrete(1) for label, dim in dims.items()}
    for label in out:
        if label not in of_value and mode[label] in "SA":
            value = scaled(value, Coefficient.of(sizes[label]))
    return _placed(value, (of_weight, of_value, out), (inner, mode), sizes, view)


def _inner_mode(mode: str | None, shared: bool) -> str:
    """Return how positions of a value meet: those that a weight shares are told apart."""
    if mode is None:
        return "S"
    return {"F": "D", "A": "S"}.get(mode, mode) if shared else mode


def _grown(value: Value, name: str, size: Coefficient, view: View) -> Value:
    """Add a weight's own share to the tangent, and take covariances through the weight."""
    spec = view.engine.params[name]
    through = Value()
    if spec.init == "normal":
        variance = Coefficient(spec.entry_std, -spec.entry_exponent) ** 2
        through = scaled(value, variance * size)
    step = None if view.own else view.engine.steps.get(name)
    if step is None or value.kernel is None:
        return through
    coefficient = step * size
    grown = value.kernel.times(coefficient.constant.value, power_of(coefficient.power))
    return view.total([through, Value(None, grown)])


def _placed(
    value: Value,
    labels: tuple[Labels, Labels, Labels],
    modes: tuple[str, dict[int, str]],
    sizes: dict[int, int],
    view: View,
) -> Value:
    """Put the dimensions of a value in the order of the result; a weight's own are constant."""
    of_weight, of_value, out = labels
    inner, mode = modes
    if value.is_zero:
        return value
    symbols: list[tuple[int, int]] = []
    for label, m in zip(of_value, inner, strict=True):
        symbols += [(label, k) for k in range({"D": 1, "F": 2}.get(m, 0))]
    wanted, spread = [], []
    for label in out:
        m = mode[label]
        if label in of_value and label not in of_weight:
            wanted += [(label, k) for k in range({"D": 1, "F": 2}.get(m, 0))]
        elif m in "DF":
            wanted.append((label, 0))
            spread += [label] if m == "F" and sizes[label] > 1 else []
    flat = {
        label: "D" if label in of_weight and mode[label] == "F" else mode[label] for label in out
    }
    order = [symbols.index(s) for s in wanted if s in symbols]
    if order != list(range(len(symbols))) or len(wanted) != len(symbols):
        keep = [k for k, s in enumerate(wanted) if s in symbols]

        def image(array: object, order: list[int] = order) -> object:
            moved = array.transpose(0, *(1 + k for k in order))  # type: ignore[attr-defined]
            shape = [1] * len(wanted)
            for k, extent in zip(keep, moved.shape[1:], strict=True):
                shape[k] = extent
            return moved.reshape(len(moved), *shape)

        def new(shape: tuple[int, ...]) -> tuple[int, ...]:
            found = [1] * len(wanted)
            for k, source in zip(keep, order, strict=True):
                found[k] = shape[source]
            return tuple(found)

        moves = [k for k in order if _is_wide(value, k)]
        value = view.seen(value, new) if moves == sorted(moves) else view.moved(value, image, new)
    plain = "".join(flat[label] for label in out)
    for k, label in enumerate(out):
        if mode[label] == "F" and flat[label] == "D":
            target = plain[:k] + "F" + plain[k + 1 :]
            if label in spread:
                value = _embed(value, plain, k, tuple(sizes[i] for i in out), view)
            else:
                value = view.embedded(value, target, [k], tuple(sizes[i] for i in out))
            plain = target
    return value


def _is_wide(value: Value, dimension: int) -> bool:
    parts = (q for q in (value.kernel, value.tangent) if q is not None)
    return any(q.array.shape[dimension] > 1 for q in parts)


def _embed(value: Value, plain: str, axis: int, sizes: tuple[int, ...], view: View) -> Value:
    """Put what is constant or varies along an axis on the diagonal p = q."""
    from tpc.covariance.arrays import slot

    start = slot(plain, axis)

    def full(q: Quantity | None) -> Quantity | None:
        if q is None:
            return None
        shape = q.array.shape
        wide = (*shape[:start], sizes[axis], *shape[start + 1 :])
        return q.moved(view.grown(q.array, wide))

    return view.embedded(both(value, full), plain[:axis] + "F" + plain[axis + 1 :], [axis], sizes)


def _require_moves(holder: Node) -> None:
    while holder.operands:
        if holder.op.name not in MOVES:
            raise MissingRule(holder, STAGE, "a weight repeated or padded")
        holder = holder.operands[0]


def _apart(one: Node, other: Node) -> bool:
    """Whether two parts of a weight have no entry in common."""
    if one is other or one.op is not other.op or one.op.name != "index":
        return False
    if one.operands[0] is not other.operands[0] or one.attrs["axis"] != other.attrs["axis"]:
        return False
    return bool(one.attrs["position"] != other.attrs["position"])


# -- numbers against values ------------------------------------------------------------------------


def _mixed(left: Node, right: Node, modes: str, view: View) -> Value:
    """Return covariances of ``sum_u s[t, u] z[u]`` for numbers s of the sample."""
    numbers = view.engine.numbers
    which = [[numbers.is_number(x) for x in node.operands] for node in (left, right)]
    keys = ("left", "right", "out")
    if which[0] != which[1] or sum(which[0]) != 1:
        raise MissingRule(left, STAGE, "products of values")
    if any(left.attrs[key] != right.attrs[key] for key in keys):
        raise MissingRule(left, STAGE, "two different contractions of the same values")
    at = which[0].index(True)
    sides = (left.attrs["left"], left.attrs["right"])
    out = left.attrs["out"]
    of_number, of_value = sides[at], sides[1 - at]
    s, t = (numbers.array(node.operands[at]) for node in (left, right))
    for number in (s, t):
        if number.noise is not None and number.noise >= 0:
            raise MissingRule(left, STAGE, "scores that stay random in the limit")
    x, y = (node.operands[1 - at] for node in (left, right))
    if s.quantity is None or t.quantity is None:
        return Value()
    mode = dict(zip(out, modes, strict=True))
    inner = ""
    for axis, label in enumerate(of_value):
        apart = x is y and independent(x, axis)
        wanted = mode.get(label)
        if wanted is None:
            inner += "F"
        else:
            inner += wanted.replace("A", "F").replace("S", "D")
        if apart and inner[-1] == "F" and mode.get(label) in (None, "A"):
            inner = inner[:-1] + "D"
    value = view.request(x, y, inner)
    text, shape = _einsum((of_number, of_value, out), (inner, mode), extents(left), modes)

    def mixed(q: Quantity | None) -> Quantity | None:
        if q is None:
            return None
        full = pair_shape(extents(x), inner)
        array = q.array if q.array.shape == full else Combine([(1.0, q.array)], full).outputs[0]
        assert s.quantity is not None
        assert t.quantity is not None
        one = _whole(s.quantity, left.operands[at])
        two = _whole(t.quantity, right.operands[at])
        step = Mix(array, one, two, text, shape)
        power = s.quantity.power + t.quantity.power
        return q.moved(step.outputs[0]).times(s.quantity.factor * t.quantity.factor, power)

    return both(value, mixed)


def _whole(q: Quantity, node: Node) -> Array:
    sizes = extents(node)
    return q.array if q.array.shape == sizes else Combine([(1.0, q.array)], sizes).outputs[0]


def _einsum(
    labels: tuple[Labels, Labels, Labels],
    modes: tuple[str, dict[int, str]],
    sizes: Sequence[int],
    outer: str,
) -> tuple[tuple[str, str, str, str], tuple[int, ...]]:
    """Return the subscripts of s, K, t and the result."""
    of_number, of_value, out = labels
    inner, mode = modes
    names: dict[tuple[int, int], str] = {}

    def name(label: int, side: int) -> str:
        return names.setdefault((label, side), chr(ord("a") + len(names)))

    def letters(label: int) -> tuple[str, str]:
        m = mode.get(label)
        if m is None or (label in of_value):
            own = inner[of_value.index(label)] if label in of_value else "F"
            same = own in "DS"
        else:
            same = m in "DS"
        first = name(label, 0)
        return first, first if same else name(label, 1)

    k = ""
    for label, m in zip(of_value, inner, strict=True):
        first, second = letters(label)
        k += {"D": first, "F": first + second}.get(m, "")
    s = "".join(letters(label)[0] for label in of_number)
    t = "".join(letters(label)[1] for label in of_number)
    result = ""
    for label in out:
        first, second = letters(label)
        result += {"D": first, "F": first + second}.get(mode[label], "")
    return (s, k, t, result), pair_shape(tuple(sizes), outer)
