"""Kernels with expectations over several Gaussians as modules that need only NumPy and Numba.

The recursion is straight-line code on arrays over samples, or over pairs of them; expectations are
taken by the text of the same functions that evaluate them here: grids, random lattices, and the
interpreter of integrands (:mod:`tpc.limit.integrate`, :mod:`tpc.runtime.lattice` and ``tape``).
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tpc.codegen.module import SAMPLES, runtime_source
from tpc.codegen.text import plain
from tpc.limit import expressions as ex
from tpc.limit import integrate, pairs
from tpc.limit.expectation import Expectation
from tpc.limit.lowering import lowered
from tpc.runtime import lattice, tape

if TYPE_CHECKING:
    from tpc.limit.expectation import Tape
    from tpc.limit.kernels import Kernels
    from tpc.ops.activations import Activation

_HEADER = """\
import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from types import SimpleNamespace

import numpy as np
from numba import njit
from numba.extending import overload, register_jitable

OPTIONS = {{"cache": True, "nogil": True, "error_model": "numpy"}}
OPTIONS["fastmath"] = {{"contract", "nsz"}}
INPUTS = {inputs!r}  # shape of one sample, by input
AXES = {kept!r}  # output axes that the kernel keeps
TOLERANCE = {tolerance!r}  # of grids, relative to the root mean square of an integrand
SAMPLING = {sampling!r}  # largest standard error of an entry, relative to the diagonal
MANY = {many!r}  # whether some expectations are taken by lattices
PAIRS = 256"""

_NORMAL = '''\
@njit(**OPTIONS)
def quantiles(u, out):
    """Write normal quantiles: a rational first guess, then Halley's steps on erfc."""
    for i in range(u.size):
        p = min(u[i], 1.0 - u[i])
        t = math.sqrt(-2.0 * math.log(p))
        top = 2.515517 + t * (0.802853 + t * 0.010328)
        x = top / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))) - t
        for _ in range(3):
            f = 0.5 * math.erfc(-x / math.sqrt(2.0)) - p
            r = f * math.sqrt(2.0 * math.pi) * math.exp(0.5 * x * x)
            x -= r / (1.0 + 0.5 * x * r)
        out[i] = x if u[i] <= 0.5 else -x


def ndtri(u):
    """Return normal quantiles of an array."""
    out = np.empty(u.size)
    quantiles(u.ravel(), out)
    return out.reshape(u.shape)'''

_RULE = '''\
class Rule:
    """How expectations are computed, and what came of it."""

    def __init__(self, tolerance, size, kinked):
        self.tolerance, self.size, self.kinked = tolerance, size, kinked
        self.sampled, self.error, self.quick = False, 0.0, MANY


def lowered(number):
    """Return opcodes and constants of an integrand."""
    return TAPES[number]


def over(number, dimension, scalars, covariance, rule):
    """Return the expectation of an integrand over several Gaussians."""
    return integrate(SimpleNamespace(tape=number, dimension=dimension), scalars, covariance, rule)


def pair(number, a, k, b, rule):
    """Return the expectation of a product of two functions of one Gaussian each."""
    bound = np.sqrt(a) * np.sqrt(b)
    a, k, b = np.broadcast_arrays(*np.atleast_1d(a, np.clip(k, -bound, bound), b))
    found = _of_activations(number, (a, k, k, b), 2, rule)
    return over(number, 2, [], [a, k, b], rule) if found is None else found


def alone(number, q, function, kinks, wide, rule):
    """Return the expectation of a function of one Gaussian."""
    q = np.atleast_1d(q)
    found = _of_activations(number, (q,), 1, rule)
    if found is None:
        found = split_averages(function, q.ravel(), kinks, wide).reshape(q.shape)
    return found


def closed(sides, formula, a, k, b, number, rule):
    """Return an expectation with a closed form; where that is NaN, by the integrand."""
    bound = np.sqrt(a) * np.sqrt(b)
    a, k, b = np.broadcast_arrays(*np.atleast_1d(a, np.clip(k, -bound, bound), b))
    function, own = sides
    value = formula[0](k, *function(a, *own), *function(b, *own), *formula[1])
    bad = np.isnan(value)
    if bad.any():
        value = np.array(np.broadcast_to(value, a.shape))
        value[bad] = pair(number, a[bad], k[bad], b[bad], rule)
    return value


def gram(data, left, right, tokens):
    """Return inner products of slices of paired samples; of tokens, numbers of equal ones."""
    x, y = input_slice(data[0], *left), input_slice(data[1], *right)
    if tokens:
        return np.asarray((x == y).sum(axis=1), dtype=np.float64)
    return np.einsum("nm,nm->n", x, y)'''

_EVALUATE = '''\
def with_errors(X, X2=None, tolerance=TOLERANCE, sampling=SAMPLING):
    """Return the kernel, (N, N2) and the kept axes of the output twice, and standard errors.

    ``X`` is an array, or a dict with one for every input; X2=None means X. Raises ValueError for
    samples that do not fit, ArithmeticError where a tolerance is out of reach.
    """
    left = samples(X)
    right = None if X2 is None else samples(X2)
    kinked = set()
    for size in SIZES:
        rule = Rule(max(tolerance, 1e-2 * sampling) if MANY else tolerance, size, kinked)
        value, error, worst = kernel(left, right, rule)
        if worst <= sampling:
            shape = (*value.shape[:2], *AXES, *AXES)
            return value.reshape(shape), error.reshape(shape)
    raise ArithmeticError(f"sampled to a relative standard error of {worst:.1e} only")


def evaluate(X, X2=None, tolerance=TOLERANCE, sampling=SAMPLING):
    """Return the kernel alone: see :func:`with_errors`."""
    return with_errors(X, X2, tolerance, sampling)[0]


def kernel(left, right, rule):
    """Return kernel and errors (N, N2, entries), and the largest relative error."""
    sides = [left] if right is None else [left, right]
    found = [singles((data, data), rule) for data in sides]
    counts = [len(next(iter(data.values()))) for data in (sides[0], sides[-1])]
    own = []
    for (_, diagonal), data in zip(found, sides):
        count = len(next(iter(data.values())))
        parts = [spread(np.asarray(values)) for values in diagonal]
        whole = [[np.broadcast_to(part, (count,)) for part in both] for both in parts]
        own.append(tuple(np.array([both[k] for both in whole]) for k in (0, 1)))
    mirrored = right is None and not AXES
    value, error = np.empty((2, *counts, ENTRIES))
    rows, columns = np.triu_indices(counts[0], 1) if mirrored else _all(*counts)
    for start in range(0, len(rows), PAIRS):
        i, j = rows[start : start + PAIRS], columns[start : start + PAIRS]
        places = ((sides[0], found[0][0], i), (sides[-1], found[-1][0], j))
        data = tuple({name: a[at] for name, a in each.items()} for each, _, at in places)
        one, two = ([_taken(np.asarray(v), at) for v in values] for _, values, at in places)
        for n, values in enumerate(cross(data, one, two, rule)):
            value[i, j, n], error[i, j, n] = spread(np.asarray(values))
    if mirrored:
        value[columns, rows], error[columns, rows] = value[rows, columns], error[rows, columns]
    if right is None:
        for n in range(ENTRIES):
            value[range(counts[0]), range(counts[0]), n] = own[0][0][n]
            error[range(counts[0]), range(counts[0]), n] = own[0][1][n]
    return value, error, _relative(error, own, SimpleNamespace(kept=AXES))'''


def drawn_source(
    kernels: Kernels,
    inputs: Mapping[str, tuple[int, ...]],
    title: str,
    equations: str,
    tolerance: float,
) -> str:
    """Return the source of a module with ``evaluate`` and ``with_errors``.

    ``inputs`` are the shapes of one sample; ``title`` and ``equations`` are for the reader.
    """
    lines = _Lines()
    order = pairs.walked(kernels.entries)
    wanted = dict.fromkeys(e.inner for e in order if isinstance(e, ex.At))
    places = {e: n for n, e in enumerate(wanted)}
    single = lines.function("singles", "data, rule", ex.walk([*wanted, *kernels.diagonal]), None)
    single += f"    return [{lines.names(wanted)}], [{lines.names(kernels.diagonal)}]"
    crossed = (e for e in order if e.cross or isinstance(e, ex.Number))
    cross = lines.function("cross", "data, one, two, rule", crossed, places)
    cross += f"    return [{lines.names(kernels.entries)}]"
    many = any(e.dimension not in integrate.STEPS for e in pairs.expectations(kernels))
    safe = equations.replace("\\", "\\\\").replace('"""', "'''")
    header = _HEADER.format(
        inputs=dict(inputs),
        kept=kernels.kept,
        tolerance=tolerance,
        sampling=pairs.SAMPLING,
        many=many,
    )
    needed = {*lines.runtime, "input_slice", "softmax_share", "decay", "exponential"}
    parts = [
        f'"""{title}\n\n{safe}\n\nUsage: ``K = evaluate(X)`` for samples against themselves, '
        "``evaluate(X, X2)`` for two sets; ``with_errors`` returns standard errors too.\n"
        'Needs only numpy and numba.\n"""',
        header,
        *runtime_source(needed),
        *(["split_averages = averages  # the name is taken again below"] * bool(lines.averaged)),
        *_functions(lattice, ()),
        _NORMAL,
        *_functions(tape, ("_select",)),
        "lattice = SimpleNamespace(grid=grid, lattice=lattice, REACH=REACH, REPLICATES=REPLICATES)"
        "\ntape = SimpleNamespace(averages=averages)",
        *_functions(integrate, ("integrate_pair", "integrate_one")),
        *_functions(pairs, (), ("_relative", "spread", "_all", "_taken")),
        _RULE,
        *lines.definitions,
        _tapes(lines.tapes),
        single,
        cross,
        f"ENTRIES = {len(kernels.entries)}",
        SAMPLES,
        _EVALUATE,
    ]
    return "\n\n\n".join(parts) + "\n"


def _functions(
    module: ModuleType, skipped: Iterable[str], only: Iterable[str] | None = None
) -> list[str]:
    """Return the text of a module's functions and constants."""
    found = []
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.FunctionDef):
            if node.name in skipped or (only is not None and node.name not in only):
                continue
            node.body = [each for each in node.body if not isinstance(each, ast.ImportFrom)]
            found.append(ast.unparse(plain(node)))
        elif isinstance(node, ast.Assign) and only is None:
            text = ast.unparse(node)
            if not text.startswith(("Array", "FUNCTIONS")):
                found.append(text)
    return found


def _tapes(tapes: Mapping[Tape, int]) -> str:
    """Return opcodes and constants of all integrands as a table."""
    rows = []
    for each in tapes:
        codes, constants = lowered(each)
        rows.append(
            f"    (np.array({codes.tolist()!r}).reshape(-1, 4), np.array({constants.tolist()!r})),"
        )
    return "TAPES = [\n" + "\n".join(rows) + "\n]"


class _Lines:
    """Writes expressions as statements, and collects what they need."""

    def __init__(self) -> None:
        self.tapes: dict[Tape, int] = {}
        self.runtime: set[str] = set()
        self.definitions: list[str] = []
        self._functions: dict[Activation, str] = {}

    @property
    def averaged(self) -> bool:
        """Whether functions of one Gaussian are averaged."""
        return "averages" in self.runtime

    def names(self, expressions: Iterable[ex.Expression]) -> str:
        return ", ".join(map(self.name, expressions))

    def name(self, e: ex.Expression) -> str:
        return repr(e.value.value) if isinstance(e, ex.Number) else f"v{e.id}"

    def function(
        self,
        name: str,
        arguments: str,
        order: Iterable[ex.Expression],
        places: Mapping[ex.Expression, int] | None,
    ) -> str:
        """Return the head of a function and a statement for every expression."""
        text = f"def {name}({arguments}):\n"
        for e in order:
            if isinstance(e, ex.At) and places is not None:
                side = ("one", "two")[e.side]
                text += f"    {self.name(e)} = {side}[{places[e.inner]}]\n"
            elif not isinstance(e, ex.Number):
                text += f"    {self.name(e)} = {self._right(e)}\n"
        return text

    def _tape(self, code: Tape) -> int:
        return self.tapes.setdefault(code, len(self.tapes))

    def _right(self, e: ex.Expression) -> str:
        match e:
            case ex.Gram(left=a, right=b):
                return f"gram(data, {(a.name, a.place)!r}, {(b.name, b.place)!r}, {a.tokens})"
            case ex.Sum(constant=constant, terms=terms):
                parts = [f"{weight.value!r} * {self.name(term)}" for term, weight in terms]
                return " + ".join([repr(constant.value), *parts])
            case ex.Product(factors=factors):
                return " * ".join(map(self.name, factors))
            case ex.Dual():
                return self._dual(e)
            case ex.Average(phi=phi, q=q):
                code = self._tape((("leaf", 0, ()), ("apply", phi, (0,))))
                self.runtime.add("averages")
                wide = phi.growth.kind != "polynomial"
                own = f"{self._applied(phi)}, {phi.kinks()!r}, {wide}"
                return f"alone({code}, {self.name(q)}, {own}, rule)"
            case Expectation(scalars=scalars, covariance=covariance):
                lists = f"[{self.names(scalars)}], [{self.names(covariance)}]"
                return f"over({self._tape(e.tape)}, {e.dimension}, {lists}, rule)"
            case ex.Value(place=place):
                return f"input_slice(data[0], {place.name!r}, {place.place!r})[:, 0]"
            case ex.Applied(phi=phi, inner=inner):
                return f"{self._applied(phi)}(np.atleast_1d({self.name(inner)}))"
            case ex.Root(inner=inner, exponent=exponent):
                return f"{self.name(inner)} ** {float(exponent)!r}"
            case ex.Share(position=position, scores=scores, masks=masks):
                lists = f"[{self.names(scores)}], [{self.names(masks)}]"
                return f"softmax_share({position}, {lists})"
        raise TypeError(f"not an expression: {e!r}")

    def _dual(self, e: ex.Dual) -> str:
        code: Any = (
            ("leaf", 0, ()),
            ("apply", e.phi, (0,)),
            ("leaf", 1, ()),
            ("apply", e.psi, (2,)),
            ("product", None, (1, 3)),
        )
        at = self.names((e.left, e.k, e.right))
        form = e.phi.dual_form() if e.phi == e.psi else None
        if form is None:
            return f"pair({self._tape(code)}, {at}, rule)"
        self.runtime |= {form.side, form.pair}
        sides = f"({form.side}, {form.side_parameters!r}), ({form.pair}, {form.parameters!r})"
        return f"closed({sides}, {at}, {self._tape(code)}, rule)"

    def _applied(self, phi: Activation) -> str:
        """Return the name of the function that applies phi to numbers of samples."""
        if phi not in self._functions:
            name = self._functions[phi] = f"phi_{len(self._functions)}"
            self.runtime.update(phi.helpers)
            self.definitions.append(
                f"@njit(**OPTIONS)\ndef {name}(x):\n"
                "    flat = x.ravel()\n    values = np.empty(flat.size)\n"
                "    for i in range(flat.size):\n        z = flat[i]\n"
                f"        values[i] = {phi.numba_call('z')}\n    return values.reshape(x.shape)"
            )
        return self._functions[phi]
