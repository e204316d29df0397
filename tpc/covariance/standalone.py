"""A plan over arrays of positions as the text of a module that needs only NumPy and Numba.

The module has the plan, a line for every step, and the source of what runs it: the very classes and
functions that run it here.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from tpc.covariance import arrays, expectations, layers, products, run, steps
from tpc.covariance.series import SeriesForm
from tpc.covariance.written import Text, UnwritableError, bare, linear_map, literal, method, needs
from tpc.limit import samples
from tpc.runtime import positions

if TYPE_CHECKING:
    from types import ModuleType

    from tpc.covariance.arrays import Step
    from tpc.covariance.kernel import PositionKernel

_HEADER = """\
from __future__ import annotations

import base64
import math
import os
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from numba import njit
from numba.extending import overload, register_jitable

OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy"}
OPTIONS["fastmath"] = {"contract", "nsz"}
SUMS = {**OPTIONS, "fastmath": {"contract", "nsz", "reassoc"}}"""

_BUILD = '''\
def build(kind, inputs, sides, shapes, single, **own):
    """Return a step of the plan with its own numbers."""
    step = kind.__new__(kind)
    Step.__init__(step, inputs, sides, shapes, single)
    step.__dict__.update(own)
    return step


def unpacked(text, shape):
    """Return whole numbers that are written as compressed text."""
    flat = np.frombuffer(zlib.decompress(base64.b85decode(text)), dtype="<i8")
    return flat.reshape(shape)


class Sample(Step):
    """An input as it is."""

    def run(self, block, inputs, outs):
        outs[0][...] = block.data[self.name].reshape(outs[0].shape)


class Fixed(Step):
    """Numbers that are the same for all samples."""

    def run(self, block, inputs, outs):
        outs[0][...] = self.value


class Evaluated(Step):
    """A function of numbers that every sample has."""

    def run(self, block, inputs, outs):
        pairs = zip(inputs, self.node.operands)
        given = [array if x.type.batched else array[0] for array, x in pairs]
        outs[0][...] = self.function(None, self.node, given, None)


def gather(index, weights):
    """Return the map of arrays whose entry i is entry index[i] times a weight."""
    def image(array):
        return array.reshape(len(array), -1)[:, index] * weights
    return image


def scatter(places):
    """Return the function that fills an array from parts: each (where, index, weights)."""
    def fill(parts, out):
        flat = out.reshape(len(out), -1)
        for (where, index, weights), part in zip(places, parts):
            flat[:, where] = part.reshape(len(part), -1)[:, index] * weights
    return fill'''

_EVALUATE = '''\
def evaluate(X, X2=None, tolerance=TOLERANCE):
    """Return the kernel of samples, (N, N2) and the kept axes of the output twice.

    ``X`` is an array, or a dict with one for every input; X2=None means X.
    """
    job = Run(KERNEL, X, X2, tolerance)
    kept = KERNEL.kept
    found = np.zeros((job.count, job.count2, *kept, *kept))
    if X2 is None:
        rows, columns = np.triu_indices(job.count)
    else:
        rows, columns = (a.ravel() for a in np.indices((job.count, job.count2)))

    def put(one, two, values):
        found[one, two] = values[0]
        if X2 is None:
            rank = len(kept)
            back = (0, *range(1 + rank, 1 + 2 * rank), *range(1, 1 + rank))
            found[two, one] = values[0].transpose(back)

    job.pairs(rows, columns, put)
    return found'''

_MODULES = (positions, samples, arrays, steps, expectations, layers, products, run)


def standalone(kernel: PositionKernel, title: str, equations: str, tolerance: float) -> str:
    """Return the source of a module with ``evaluate(X, X2=None, tolerance=...)``.

    Raises:
        UnwritableError: a step has no text.
    """
    plan = _Plan()
    roots = [each for each in kernel.roots if each is not None]
    for step in run.ordered([root.array for root in roots]):
        plan.add(step)
    names = {"Step", "Array", "Block", "Run", *plan.kinds}
    safe = equations.replace("\\", "\\\\").replace('"""', "'''")
    written = ", ".join(
        "None"
        if root is None
        else f"SimpleNamespace(array={plan.name(root.array)}, factor={root.factor!r})"
        for root in kernel.roots
    )
    parts = [
        f'"""{title}\n\n{safe}\n\nUsage: ``K = evaluate(X)`` for samples against themselves, '
        '``evaluate(X, X2)`` for two sets.\nNeeds only numpy and numba.\n"""',
        _HEADER,
        *plan.text.definitions,
        *definitions(names),
        _namespace("duals", plan.text.sides),
        _namespace("loops", _public(positions)),
        _BUILD,
        "\n".join(plan.lines),
        f"KERNEL = SimpleNamespace(\n    roots=[{written}],\n    modes={kernel.modes!r},\n"
        f"    kept={kernel.kept!r},\n    inputs={dict(kernel.inputs)!r},\n)\n"
        f"TOLERANCE = {tolerance!r}",
        _EVALUATE,
    ]
    return "\n\n\n".join(parts) + "\n"


def _namespace(name: str, members: Iterable[str]) -> str:
    return f"{name} = SimpleNamespace({', '.join(f'{m}={m}' for m in sorted(members))})"


class _Plan:
    """The lines of a plan, and what they need."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.kinds: set[str] = set()
        self.text = Text()
        self._numbers: dict[Step, int] = {}

    def name(self, array: arrays.Array) -> str:
        return f"s{self._numbers[array.step]}.outputs[{array.part}]"

    def add(self, step: Step) -> None:
        """Write a step."""
        kind, own = self._own(step)
        number = self._numbers[step] = len(self._numbers)
        given = ["".join(f"{self.name(a)}, " for a in each) for each in (step.inputs, step.sides)]
        shapes = [out.shape for out in step.outputs]
        values = "".join(f", {key}={text}" for key, text in own.items())
        first, second = (f"({each.rstrip()})" for each in given)
        self.lines.append(
            f"s{number} = build({kind}, {first}, {second}, {shapes}, {step.single}{values})"
        )

    def _own(self, step: Step) -> tuple[str, dict[str, str]]:
        """Return the class of a step in the module, and the numbers that it needs."""
        if isinstance(step, steps.Evaluate):
            return self._evaluated(step)
        name = type(step).__name__
        self.kinds.add(name)
        if isinstance(step, (SeriesForm, expectations.Average)):
            raise UnwritableError("an expectation without a closed form")
        if isinstance(step, expectations.Sides):
            self.text.add_sides([side for side, _ in step.keys])
        own = {}
        for key in sorted(used(type(step)) & set(vars(step))):  # type: ignore[arg-type]
            value = getattr(step, key)
            if key == "loop":
                own[key] = self.text.add_loop(step.source)  # type: ignore[attr-defined]
            elif key == "function":
                own[key] = linear_map(step, value)
            else:
                own[key] = literal(value)
        return name, own

    def _evaluated(self, step: steps.Evaluate) -> tuple[str, dict[str, str]]:
        node = step.node
        name = node.attrs.get("name")
        if name is not None and not node.operands:
            return "Sample", {"name": repr(name)}
        if not node.operands:
            from tpc.ops.base import EvalContext

            value = node.op.evaluate(node, [], EvalContext(width=1, batch=1))
            return "Fixed", {"value": literal(value)}
        return "Evaluated", {"node": method(node), "function": self.text.add_op(node)}


@cache
def used(kind: Any) -> set[str]:
    """Return which attributes of its own the methods of a step read, but for its making."""
    (tree,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)
    bodies = [m for m in tree.body if isinstance(m, ast.FunctionDef) and m.name != "__init__"]
    found = {
        node.attr
        for body in bodies
        for node in ast.walk(body)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"
    }
    return found - {"inputs", "sides", "outputs", "single"}


def definitions(names: Iterable[str]) -> list[str]:
    """Return the source of classes and functions, and of all that they need."""
    table: dict[str, ast.stmt] = {}
    for module in _MODULES:
        table |= _table(module)
    needed: set[str] = set()
    todo = [*names, *_public(positions)]
    while todo:
        name = todo.pop()
        if name in table and name not in needed:
            needed.add(name)
            todo += needs(table[name])
    return [ast.unparse(node) for name, node in table.items() if name in needed]


def _public(module: ModuleType) -> list[str]:
    return [name for name, node in _table(module).items() if isinstance(node, ast.FunctionDef)]


def _table(module: ModuleType) -> dict[str, ast.stmt]:
    """Return what a module defines. Steps are built by hand: they lose what makes them."""
    found: dict[str, ast.stmt] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.FunctionDef):
            if module is positions:
                node.decorator_list = [ast.parse("njit(**SUMS)", mode="eval").body]
            found[node.name] = bare(node)
        elif isinstance(node, ast.ClassDef):
            if any(isinstance(base, ast.Name) and base.id == "Step" for base in node.bases):
                node.body = [m for m in node.body if getattr(m, "name", "") != "__init__"]
            found[node.name] = bare(node)
        elif module is run and isinstance(node, ast.Assign):
            found[ast.unparse(node.targets[0])] = node
    return found
