"""The stages of an online step as the source of a function that Numba compiles.

``train`` runs over samples one after the other and changes the tables in place. The same source
serves every width: the width is the tables' second extent, and coefficients that depend on it are
read from the array ``numbers``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tpc.codegen.text import closure
from tpc.exact import Coefficient
from tpc.online.forms import Base, Buffer, Combine, Dot, Gathered, Numbers, Plan, Term, Update
from tpc.online.lines import Lines, at, flat
from tpc.online.numbers import NumberWriter
from tpc.online.plan import count, plan, refuse
from tpc.optimizers.settings import WORDED, Settings, settings

if TYPE_CHECKING:
    from tpc.ir.module import Module

_HEADER = '''\
"""Gradient descent on one sample at a time, in place: {title}."""

import math

import numpy as np
from numba import njit

OPTIONS = {{"cache": True, "nogil": True, "error_model": "numpy"}}
OPTIONS["fastmath"] = {{"contract", "nsz", "reassoc"}}'''

_RUNTIME = ("distinct", "forget", "moves", "dots", "combine", "shift", "move", "move_and_combine")


@dataclass(frozen=True)
class Written:
    """Source of ``train``, the inputs that it takes, in order, and its coefficients.

    ``train(*tables, *inputs, numbers, rates, shrinks, falls, first, total, losses)``: tables
    (words, width) in the order of ``tables``; inputs (samples, finite axes) in that of ``inputs``;
    ``numbers`` are the values of ``constants``; ``rates`` (double precision) and ``shrinks``, rate
    times decay (in the tables' type), have a number for each table, at a schedule's factor of 1,
    and ``falls`` is 1 where the schedule is linear, else 0; ``first`` steps are done of ``total``;
    ``losses`` (samples,) takes the losses before each step.
    """

    source: str
    plan: Plan
    tables: tuple[str, ...]
    inputs: tuple[str, ...]
    constants: tuple[Coefficient, ...]
    rates: dict[str, Coefficient]
    shrinks: dict[str, Coefficient]
    falls: dict[str, bool]


def write(module: Module) -> Written:
    """Return the compiled step's source.

    Raises:
        TpcError: the program has no online step (:func:`tpc.online.plan.plan`).
    """
    return _Writer(module).written()


class _Writer:
    def __init__(self, module: Module) -> None:
        self.module, self.plan = module, plan(module)
        self.numbers, self.body = NumberWriter(), Lines(2)
        self.setup, self.arrays = Lines(1), 0
        self.settings: dict[str, Settings] = {}
        for name in module.trained:
            found = settings(module, name, WORDED)
            assert found is not None
            self.settings[name] = found
        self.rates = {
            n: s.rate * module.params[n].multiplier ** 2 for n, s in self.settings.items()
        }
        self.fused = {name: self._fusible(name) for name in self.plan.updates}

    def written(self) -> Written:
        """Write everything."""
        tables = tuple(self.plan.lookups)
        self._setup()
        for stage in self.plan.stages:
            if isinstance(stage, Numbers):
                self.numbers.write(stage.node, self.body)
            elif isinstance(stage, Dot):
                self._dot(stage)
            else:
                self._combine(stage)
        for name in tables:
            if self.fused[name] is None and self.plan.updates[name]:
                self._move(name)
        self.body.add(f"losses[sample] = {self.numbers.entry(self.plan.loss, ())}")
        for name in tables:
            self.body.add(f"forget(mark_{name}, rows_{name}, count_{name})")
        for array, shape in self.numbers.arrays.items():
            self.setup.add(f"{array} = np.empty({shape!r})")
        words = [ids for each in self.plan.lookups.values() for ids in each]
        inputs = tuple(dict.fromkeys([*words, *self.numbers.inputs]))
        return Written(
            self._source(tables, inputs),
            self.plan,
            tables,
            inputs,
            tuple(self.numbers.constants),
            self.rates,
            {name: each.rate * each.decay for name, each in self.settings.items()},
            {name: each.schedule == "linear" for name, each in self.settings.items()},
        )

    def _source(self, tables: tuple[str, ...], inputs: tuple[str, ...]) -> str:
        arguments = [*(f"table_{n}" for n in tables), *(f"in_{n}" for n in inputs)]
        arguments += ["numbers", "rates", "shrinks", "falls", "first", "total", "losses"]
        head = f"def train({', '.join(arguments)}):"
        helpers = {name for phi in self.numbers.activations for name in phi.helpers}
        functions = [
            f"@njit(**OPTIONS)\n{source}" if is_function else source
            for _, source, is_function in closure([*_RUNTIME, *helpers])
        ]
        loop = "    for sample in range(losses.shape[0]):"
        main = "\n".join(["@njit(**OPTIONS)", head, self.setup.text, loop, self.body.text])
        title = _HEADER.format(title=", ".join(tables))
        return "\n\n\n".join([title, *functions, main]) + "\n"

    # -- what is there before the samples, and before each sample ----------------------------------

    def _setup(self) -> None:
        plan = self.plan
        first = next(iter(plan.lookups))
        self.setup.add(
            f"width, kind = table_{first}.shape[1], table_{first}.dtype",
            "zero = np.zeros(1, kind)[0]",
            "shrink = np.zeros(1, kind)",
        )
        for name, words in plan.lookups.items():
            most = sum(count(plan.shapes[ids]) for ids in words)
            self.setup.add(
                f"mark_{name} = np.full(table_{name}.shape[0], -1)",
                f"rows_{name} = np.zeros({most}, np.int64)",
            )
            self.body.add(f"count_{name} = 0")
            for ids in words:
                place = f"place_{name}_{ids}"
                self.setup.add(f"{place} = np.zeros({count(plan.shapes[ids])}, np.int64)")
                self.body.add(
                    f"count_{name} = distinct(in_{ids}[sample].ravel(), mark_{name}, "
                    f"rows_{name}, {place}, count_{name})"
                )
        for buffer in plan.buffers:
            size = count(buffer.shape)
            self.setup.add(f"b{buffer.number} = np.zeros(({size}, width), kind)")
            self.setup.add(f"order{buffer.number} = np.arange({size})")
        self.body.add("past = (first + sample) / total")

    def _array(self, shape: str, kind: str = "kind") -> str:
        self.arrays += 1
        self.setup.add(f"c{self.arrays} = np.zeros({shape}, {kind})")
        return f"c{self.arrays}"

    # -- bases -------------------------------------------------------------------------------------

    def _rows(self, base: Base) -> tuple[str, str, str, int]:
        """Return a base's array, its rows, how many there are, and how many at most."""
        if isinstance(base, Gathered):
            most = sum(count(self.plan.shapes[ids]) for ids in self.plan.lookups[base.param])
            return f"table_{base.param}", f"rows_{base.param}", f"count_{base.param}", most
        size = count(base.shape)
        return f"b{base.number}", f"order{base.number}", str(size), size

    def _position(self, base: Base, indices: tuple[str, ...]) -> str:
        """Return where among its rows an entry of a base is."""
        where = flat(indices, base.shape)
        return f"place_{base.param}_{base.ids}[{where}]" if isinstance(base, Gathered) else where

    def _weights(self, terms: list[tuple[Term, str, str]], array: str) -> None:
        """Add up the factors of terms; the strings are a first index and a factor in front."""
        for term, first, front in terms:
            names = tuple(f"i{label}" for label in range(len(term.extents)))
            factors = [] if not front else [front]
            if not term.factor.is_one:
                factors.append(self.numbers.constant(term.factor))
            for node, labels in term.numbers:
                factors.append(self.numbers.entry(node, tuple(names[label] for label in labels)))
            out = tuple(names[label] for label in term.out)
            base = tuple(names[label] for label in term.at)
            where = first.format(
                out=flat(out, [term.extents[label] for label in term.out]),
                base=self._position(term.base, base),
            )
            with self.body.loops(names, term.extents):
                self.body.add(f"{array}[{where}] += {' * '.join(factors) or '1.0'}")

    # -- stages ------------------------------------------------------------------------------------

    def _combine(self, stage: Combine) -> None:
        target, size = f"b{stage.target.number}", count(stage.target.shape)
        self.body.add(f"{target}[:] = zero")
        for term in stage.terms:
            table, rows, number, most = self._rows(term.base)
            array = self._array(f"({size}, {most})")
            self.body.add(f"{array}[:, :{number}] = zero")
            self._weights([(term, "{out}, {base}", "")], array)
            fused = next((name for name, each in self.fused.items() if each is stage), None)
            if fused is not None:
                self._move(fused, f"{array}[0]", f"{target}[0]")
                continue
            with self.body.loops(["f"], [size]):
                self.body.add(f"combine({table}, {rows}, {number}, {array}[f], {target}[f])")

    def _dot(self, stage: Dot) -> None:
        sides = [(stage.left, stage.labels[0]), (stage.right, stage.labels[1])]
        sides.sort(key=lambda side: (isinstance(side[0], Gathered), count(side[0].shape)))
        (few, few_labels), (many, many_labels) = sides
        table, rows, number, most = self._rows(many)
        found = self._array(f"({count(few.shape)}, {most})", "np.float64")
        labels = (*stage.labels[0], *stage.labels[1])
        extents = dict(zip(labels, (*stage.left.shape, *stage.right.shape), strict=True))
        own = tuple(f"j{axis}" for axis in range(len(few.shape)))
        with self.body.loops(own, few.shape):
            source, order, _, _ = self._rows(few)
            vector = f"{source}[{order}[{self._position(few, own)}]]"
            self.body.add(
                f"dots({table}, {rows}, {number}, {vector}, {found}[{flat(own, few.shape)}], zero)"
            )
        names = {label: f"i{label}" for label in extents}
        target = at(self.numbers.declare(stage.node), [names[x] for x in stage.labels[2]])
        summed = [label for label in extents if label not in stage.labels[2]]
        with self.body.loops(
            [names[x] for x in stage.labels[2]], [extents[x] for x in stage.labels[2]]
        ):
            self.body.add(f"{target} = 0.0")
            with self.body.loops([names[x] for x in summed], [extents[x] for x in summed]):
                first = flat([names[x] for x in few_labels], few.shape)
                second = self._position(many, tuple(names[x] for x in many_labels))
                self.body.add(f"{target} += {found}[{first}, {second}]")

    # -- updates -----------------------------------------------------------------------------------

    def _groups(self, name: str) -> dict[Buffer, list[Update]]:
        groups: dict[Buffer, list[Update]] = {}
        for update in self.plan.updates[name]:
            assert isinstance(update.term.base, Buffer)
            groups.setdefault(update.term.base, []).append(update)
        if len(groups) > 1 and not self.settings[name].decay.is_zero:
            refuse(f"`{name}` decays and moves by vectors of several kinds in one step")
        return groups

    def _fusible(self, name: str) -> Combine | None:
        """Return the stage that reads a table last, where its rows may move in the same pass."""
        groups, found = self._groups(name), None
        known: set[Buffer] = set()
        for stage in self.plan.stages:
            reads = [t.base for t in stage.terms] if isinstance(stage, Combine) else []
            reads += [stage.left, stage.right] if isinstance(stage, Dot) else []
            if any(isinstance(base, Gathered) and base.param == name for base in reads):
                single = isinstance(stage, Combine) and len(stage.terms) == 1
                found = stage if single and isinstance(stage, Combine) else None
                if found is not None and count(found.target.shape) != 1:
                    found = None
                before = set(known)
            if isinstance(stage, Combine):
                known.add(stage.target)
        if found is None or len(groups) != 1 or not set(groups) <= before:
            return None
        return found if all(count(base.shape) == 1 for base in groups) else None

    def _move(self, name: str, weights: str = "", target: str = "") -> None:
        """Move the rows of a table; with ``target`` also combine them there."""
        position = list(self.plan.lookups).index(name)
        factor = f" * (1.0 - falls[{position}] * past)"
        rate = f"rates[{position}]{factor}"
        most = sum(count(self.plan.shapes[ids]) for ids in self.plan.lookups[name])
        self.body.add(f"shrink[0] = shrinks[{position}]{factor}")
        for base, updates in self._groups(name).items():
            array = self._array(f"({count(base.shape)}, {most})")
            self.body.add(f"{array}[:, :count_{name}] = zero")
            for update in updates:
                self._gradient(name, base, update, rate, array)
            common = f"table_{name}, rows_{name}, count_{name}"
            if target:
                self.body.add(
                    f"move_and_combine({common}, {weights}, {target}, {array}[0], "
                    f"b{base.number}[0], shrink[0], zero)"
                )
            else:
                self.body.add(f"move({common}, {array}, b{base.number}, shrink[0], zero)")

    def _gradient(self, name: str, base: Buffer, update: Update, rate: str, array: str) -> None:
        term = update.term
        place = f"place_{name}_{update.ids}"
        self._weights([(term, "{base}, " + place + "[{out}]", rate)], array)
