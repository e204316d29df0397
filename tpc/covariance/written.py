"""Parts of a plan as text: numbers, moves of entries, loops, and functions of ops."""

from __future__ import annotations

import ast
import base64
import inspect
import textwrap
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.covariance.expectations import header
from tpc.covariance.steps import Join

if TYPE_CHECKING:
    from tpc.covariance.arrays import Array, Step
    from tpc.ir.node import Node

_SHORT = 16
"""Arrays of more entries are written compressed."""


class UnwritableError(ValueError):
    """Something of a plan that has no text."""


def literal(value: Any) -> str:
    """Return a number, text, array, or a tuple or list of them, as an expression.

    Raises:
        UnwritableError: it is something else.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, (tuple, list)):
        inner = "".join(f"{literal(each)}, " for each in value)
        return f"({inner})" if isinstance(value, tuple) else f"[{inner}]"
    raise UnwritableError(f"a {type(value).__name__}")


def _array(value: Any) -> str:
    if value.dtype.kind not in "biuf":
        raise UnwritableError(f"an array of {value.dtype}")
    real = value.dtype.kind == "f"
    if value.size <= _SHORT:
        kind = "float64" if real else "int64"
        return f"np.array({value.tolist()!r}, dtype=np.{kind}).reshape({value.shape})"
    whole = np.ascontiguousarray(value, dtype="<f8").view("<i8") if real else value
    packed = zlib.compress(np.ascontiguousarray(whole, dtype="<i8").tobytes(), 9)
    text = f"unpacked({base64.b85encode(packed).decode()!r}, {value.shape})"
    return f"{text}.view(np.float64)" if real else text


def linear_map(step: Step, function: Callable[..., Any]) -> str:
    """Return the text of a function that moves entries, found by what it does to numbered ones.

    Raises:
        UnwritableError: it does more than that.
    """
    if isinstance(step, Join):
        places = [_part(step, function, k) for k in range(len(step.inputs))]
        return f"scatter(({''.join(f'{each}, ' for each in places)}))"
    shape = step.outputs[0].shape

    def image(arrays: Sequence[Any]) -> Any:
        return np.broadcast_to(function(arrays[0]), (1, *shape))

    index, weights = _moves(step.inputs, 0, image)
    return f"gather({literal(index)}, {_weights(weights)})"


def _part(step: Step, function: Callable[..., Any], number: int) -> str:
    def image(arrays: Sequence[Any]) -> Any:
        out = np.zeros((1, *step.outputs[0].shape))
        function(list(arrays), out)
        return out

    index, weights = _moves(step.inputs, number, image)
    where = np.flatnonzero(weights)
    flat = index.ravel()[where], weights.ravel()[where]
    return f"({literal(where)}, {literal(flat[0])}, {_weights(flat[1])})"


def _weights(weights: Any) -> str:
    """Return weights as text, a single one where they are equal."""
    if weights.size and (weights == weights.flat[0]).all():
        return repr(float(weights.flat[0]))
    return literal(weights)


def _moves(given: Sequence[Array], number: int, image: Callable[..., Any]) -> tuple[Any, Any]:
    """Return index and weight of the entry of one array behind every entry of an image."""

    def seen(values: Any) -> Any:
        parts = [np.zeros((1, *array.shape)) for array in given]
        parts[number] = values.reshape(1, *given[number].shape)
        return np.array(image(parts)[0])

    size = given[number].size
    weights = seen(np.ones(size))
    scale = np.where(weights == 0.0, 1.0, weights)
    index = np.rint(seen(np.arange(size, dtype=float)) / scale).astype(np.int64)
    values = np.random.default_rng(0).standard_normal(size)
    if index.min() < 0 or index.max() >= size:
        raise UnwritableError("sums of entries that overlap")
    if not np.allclose(values[index] * weights, seen(values), rtol=1e-14, atol=0.0):
        raise UnwritableError("sums of entries that overlap")
    return index, weights


def method(node: Node) -> str:
    """Return what the function of an op reads of a node: attributes and types.

    Raises:
        UnwritableError: an attribute is no number or text.
    """
    types = [_type(x) for x in (node, *node.operands)]
    operands = ", ".join(f"SimpleNamespace(type={each})" for each in types[1:])
    attrs = ", ".join(f"{key!r}: {literal(each)}" for key, each in node.attrs.items())
    return f"SimpleNamespace(attrs={{{attrs}}}, type={types[0]}, operands=[{operands}])"


def _type(node: Node) -> str:
    return f"SimpleNamespace(rank={node.type.rank}, batched={node.type.batched})"


def needs(node: ast.AST) -> list[str]:
    """Return the names that a definition reads, but for those of annotations."""
    hints = [each.annotation for each in ast.walk(node) if isinstance(each, ast.AnnAssign)]
    skipped = {id(part) for hint in hints for part in ast.walk(hint)}
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in skipped]


def bare(node: ast.stmt) -> ast.stmt:
    """Take annotations out of functions, and what only they need."""
    for each in ast.walk(node):
        if isinstance(each, ast.FunctionDef):
            each.returns = None
        elif isinstance(each, ast.arg):
            each.annotation = None
    return node


class Text:
    """Definitions that a plan needs, each once."""

    def __init__(self) -> None:
        self.definitions: list[str] = []
        self.sides: set[str] = set()
        self._loops: dict[str, str] = {}

    def add_loop(self, source: str) -> str:
        """Add a generated loop under a name of its own, and what it calls; return the name."""
        if source not in self._loops:
            *before, last = ast.parse(source).body
            assert isinstance(last, ast.FunctionDef)
            self._keep(before)
            last.name = self._loops[source] = f"{last.name}_{len(self._loops)}"
            self.definitions.append(ast.unparse(last))
        return self._loops[source]

    def add_sides(self, names: Sequence[str]) -> None:
        """Add functions of a variance that closed forms need."""
        self.sides |= set(names)
        self._keep(ast.parse("\n\n".join(header(list(names)))).body)

    def add_op(self, node: Node) -> str:
        """Add the function of an op of numbers; return its name.

        Raises:
            UnwritableError: it needs more than NumPy and the node's numbers.
        """
        function = type(node.op).evaluate
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
        bare(tree)
        assert isinstance(tree, ast.FunctionDef)
        tree.name = f"evaluate_{node.op.name}"
        imported = _without_imports(tree, node)
        self._require_known(tree, node, imported)
        self._keep([*imported, tree])
        return tree.name

    def _require_known(self, tree: ast.FunctionDef, node: Node, known: list[ast.stmt]) -> None:
        own = {each.arg for each in ast.walk(tree) if isinstance(each, ast.arg)}
        own |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and _stored(n)}
        own |= {each.name for each in known if isinstance(each, ast.FunctionDef)}
        own |= {"np", "int", "len", "tuple", "range", "zip"}
        read = set(needs(tree))
        if read - own or {"self", "context"} & read:
            raise UnwritableError(f"`{node.op.name}` of numbers")

    def _keep(self, nodes: Sequence[ast.stmt]) -> None:
        for node in nodes:
            text = ast.unparse(node)
            plain = isinstance(node, (ast.Import, ast.ImportFrom, ast.Expr))
            options = text.startswith("OPTIONS")
            if not plain and not options and text not in self.definitions:
                self.definitions.append(text)


def _stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _without_imports(tree: ast.FunctionDef, node: Node) -> list[ast.stmt]:
    """Take ``align`` out of the imports of a function, and return its definition.

    Raises:
        UnwritableError: something else of this package is imported, or used.
    """
    from tpc.ops.broadcast import align

    found: list[ast.stmt] = []
    for each in list(tree.body):
        if isinstance(each, ast.ImportFrom):
            if [alias.name for alias in each.names] != ["align"]:
                raise UnwritableError(f"`{node.op.name}` of numbers")
            tree.body.remove(each)
    if "align" in needs(tree):
        found += [bare(each) for each in ast.parse(inspect.getsource(align)).body]
    return found
