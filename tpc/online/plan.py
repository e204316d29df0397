"""From the IR of a loss and its gradients to the stages of one online step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from tpc.diagnostics import Diagnostic, TpcError
from tpc.exact import Coefficient
from tpc.ir.node import Node, walk
from tpc.online.forms import (
    ONE,
    Base,
    Buffer,
    Combine,
    Dot,
    Form,
    Gathered,
    Numbers,
    Plan,
    Term,
    Update,
    whole,
)
from tpc.ops.add import ADD
from tpc.ops.apply import APPLY
from tpc.ops.batch import BATCH_MEAN, BATCH_SUM, PER_SAMPLE
from tpc.ops.contract import CONTRACT
from tpc.ops.fill import FILL, is_zero
from tpc.ops.gather import GATHER, SCATTER_ADD
from tpc.ops.input import INPUT
from tpc.ops.multiply import MULTIPLY
from tpc.ops.param import PARAM
from tpc.ops.power import POWER
from tpc.ops.repeat import REPEAT
from tpc.ops.scale import SCALE
from tpc.ops.stop_gradient import STOP_GRADIENT
from tpc.ops.sum import SUM
from tpc.optimizers.settings import WORDED, settings
from tpc.unroll import training_step

if TYPE_CHECKING:
    from tpc.ir.module import Module

#: With a single sample, what is summed or averaged over the batch is the sample's own value.
SAME = (BATCH_MEAN, BATCH_SUM, PER_SAMPLE, STOP_GRADIENT)
_NUMBERS = (ADD, APPLY, CONTRACT, FILL, INPUT, MULTIPLY, POWER, REPEAT, SCALE, SUM, *SAME)


def refuse(why: str, node: Node | None = None, module: Module | None = None) -> NoReturn:
    """Refuse a program.

    Raises:
        TpcError: always.
    """
    span = None if node is None or module is None else module.spans.get(node)
    raise TpcError(
        Diagnostic(
            "E0929",
            f"no online step can be compiled: {why}",
            span,
            help="tpc simulate and the limits of tpc run do without one",
        )
    )


def plan(module: Module) -> Plan:
    """Return the stages of one step of gradient descent on one sample.

    Raises:
        TpcError: the program does not look its weights up, combines vectors in another way than
            linearly, or its optimizer is not gradient descent.
    """
    check_optimizers(module)
    step = training_step(module)
    return _Planner(module, step.loss, tuple(step.gradients.values())).plan


def check_optimizers(module: Module) -> None:
    """Check that all weights move by plain gradient descent.

    Raises:
        TpcError: one does not.
    """
    if module.loss is None:
        refuse("the program has no train: block")
    for name, spec in module.params.items():
        found = settings(module, name, WORDED) if name in module.trained else None
        if found is None:
            refuse(f"`{name}` does not move")
        if found.optimizer.name != "sgd" or found.clip is not None:
            refuse(f"`{name}` moves by {found.optimizer.name}, not by plain gradient descent")
        if not found.decay.is_zero and found.decay_on != "touched":
            refuse(f"all rows of `{name}` decay in every step; write decay_on = touched")
        if spec.type.rank != 2 or spec.type.width_axes != (1,) or spec.type.dims[1].count != 1:
            refuse(f"`{name}` is no table of words by the width")


class _Planner:
    def __init__(self, module: Module, loss: Node, gradients: Sequence[Node]) -> None:
        self.module, self.plan = module, Plan(loss)
        self._forms: dict[Node, Form] = {}
        self._tables: dict[Node, tuple[Update, ...]] = {}
        for node in walk([loss, *gradients]):
            self._visit(node)
        for name, node in zip(module.trained, gradients, strict=True):
            self.plan.updates[name] = [] if is_zero(node) else list(self._tables[node])
            for update in self.plan.updates[name]:
                self.plan.look_up(name, update.ids, self.plan.shapes[update.ids])

    def _visit(self, node: Node) -> None:
        if node.op is PARAM or node.type.below is not None or is_zero(node):
            if node.op is not PARAM and node.op is not INPUT and node.type.below is not None:
                refuse(f"words are computed by `{node.op.name}`", node, self.module)
        elif node.type.sort == 0:
            self._scalar(node)
        elif node.op is SCATTER_ADD or any(each in self._tables for each in node.operands):
            self._tables[node] = self._table(node)
        else:
            form = self._vector(node)
            self._forms[node] = form if form.lazy else whole_form(self._kept(form))

    # -- numbers -----------------------------------------------------------------------------------

    def _scalar(self, node: Node) -> None:
        if node.op is CONTRACT and any(each.type.sort for each in node.operands):
            self.plan.stages.append(self._dot(node))
        elif node.op in _NUMBERS and not any(each.type.sort for each in node.operands):
            if node.op is INPUT and self.module.inputs[node.attrs["name"]].role == "noise":
                refuse("noise is drawn", node, self.module)
            self.plan.stages.append(Numbers(node))
        else:
            refuse(f"it has a number that comes from `{node.op.name}`", node, self.module)
        self.plan.nodes.append(node)

    def _dot(self, node: Node) -> Dot:
        axes = [_finite_labels(node, side) for side in ("left", "right")]
        bases = []
        for operand in node.operands:
            form = self._form(operand, node)
            bases.append(form.base or self._kept(form))
        return Dot(node, bases[0], bases[1], (axes[0], axes[1], node.attrs["out"]))

    # -- vectors -----------------------------------------------------------------------------------

    def _form(self, node: Node, user: Node) -> Form:
        if node not in self._forms:
            refuse(f"`{user.op.name}` takes a weight as a whole", user, self.module)
        return self._forms[node]

    def _kept(self, form: Form) -> Buffer:
        """Return a buffer that holds a form."""
        target = Buffer(len(self.plan.buffers), form.shape)
        self.plan.buffers.append(target)
        self.plan.stages.append(Combine(target, form.terms))
        return target

    def _vector(self, node: Node) -> Form:
        if node.op is GATHER:
            return whole_form(self._gathered(node))
        if node.op is SCALE:
            form = self._form(node.operands[0], node)
            factor = node.attrs["coefficient"]
            return Form(form.shape, tuple(term.scaled(factor) for term in form.terms))
        if node.op in SAME:
            return self._form(node.operands[0], node)
        if node.op is ADD and node.operands[0].type.dims == node.operands[1].type.dims:
            forms = [self._form(each, node) for each in node.operands]
            return Form(forms[0].shape, (*forms[0].terms, *forms[1].terms))
        if node.op in (SUM, REPEAT):
            return self._axes(node)
        if node.op is CONTRACT and sorted(each.type.sort for each in node.operands) == [0, 1]:
            return self._product(node)
        refuse(f"vectors go through `{node.op.name}`", node, self.module)

    def _gathered(self, node: Node) -> Base:
        table, ids = node.operands
        if table.op is not PARAM or ids.op is not INPUT:
            refuse("what is looked up is no weight, or where is no input", node, self.module)
        name, words = table.attrs["name"], ids.attrs["name"]
        shape = tuple(int(dim.count) for dim in ids.type.dims)
        self.plan.look_up(name, words, shape)
        return Gathered(name, words, shape)

    def _axes(self, node: Node) -> Form:
        """Sum over finite axes, or repeat along some."""
        operand = node.operands[0]
        form = self._form(operand, node)
        kept = [k for k, dim in enumerate(operand.type.dims) if not dim.width]
        shape = _finite_shape(node)
        terms = []
        for term in form.terms:
            if node.op is SUM:
                out = tuple(term.out[kept.index(k)] for k in kept if k not in node.attrs["axes"])
                extents = term.extents
            else:
                new = {position for position, _ in node.attrs["axes"]}
                old, fresh = iter(term.out), len(term.extents)
                labels, sizes = [], list(term.extents)
                for axis, dim in enumerate(node.type.dims):
                    if dim.width:
                        continue
                    if axis in new:
                        labels.append(fresh)
                        sizes.append(int(dim.count))
                        fresh += 1
                    else:
                        labels.append(next(old))
                out, extents = tuple(labels), tuple(sizes)
            terms.append(Term(term.base, term.at, out, extents, term.numbers, term.factor))
        return Form(shape, tuple(terms))

    def _product(self, node: Node) -> Form:
        """Numbers times vectors."""
        sides = list(zip(node.operands, ("left", "right"), strict=True))
        sides.sort(key=lambda pair: pair[0].type.sort)
        (numbers, numbers_side), (vectors, vectors_side) = sides
        form = self._form(vectors, node)
        wide = node.attrs[vectors_side][vectors.type.width_axes[0]]
        terms = []
        for term in form.terms:
            extents = list(term.extents)
            names = dict(zip(_finite_labels(node, vectors_side), term.out, strict=True))
            for label, dim in zip(node.attrs[numbers_side], numbers.type.dims, strict=True):
                if label not in names:
                    names[label] = len(extents)
                    extents.append(int(dim.count))
            used = tuple(names[label] for label in node.attrs[numbers_side])
            out = tuple(names[label] for label in node.attrs["out"] if label != wide)
            found = (*term.numbers, (numbers, used))
            terms.append(Term(term.base, term.at, out, tuple(extents), found, term.factor))
        return Form(_finite_shape(node), tuple(terms))

    # -- tables ------------------------------------------------------------------------------------

    def _table(self, node: Node) -> tuple[Update, ...]:
        if node.op is SCATTER_ADD:
            return self._scattered(node)
        if node.op is SCALE:
            return self._rescaled(node.operands[0], node.attrs["coefficient"])
        if node.op in SAME or node.op is ADD:
            return tuple(u for each in node.operands for u in self._rescaled(each, ONE))
        refuse(f"the gradient of a weight goes through `{node.op.name}`", node, self.module)

    def _rescaled(self, node: Node, factor: Coefficient) -> tuple[Update, ...]:
        if node not in self._tables:
            refuse("a weight is used as a whole", node, self.module)
        return tuple(Update(u.ids, u.term.scaled(factor)) for u in self._tables[node])

    def _scattered(self, node: Node) -> tuple[Update, ...]:
        rows, ids = node.operands
        if ids.op is not INPUT or _finite_shape(rows) != _finite_shape(ids):
            refuse("rows are added where no input says", node, self.module)
        words = ids.attrs["name"]
        self.plan.shapes[words] = _finite_shape(ids)
        found = []
        for term in self._form(rows, node).terms:
            if isinstance(term.base, Gathered):  # it may move before it is used
                kept = self._kept(whole_form(term.base))
                term = Term(kept, term.at, term.out, term.extents, term.numbers, term.factor)
            found.append(Update(words, term))
        return tuple(found)


def whole_form(base: Base) -> Form:
    """Return a base as a form."""
    return Form(base.shape, (whole(base),))


def count(shape: tuple[int, ...]) -> int:
    """Return how many vectors there are."""
    return math.prod(shape)


def _finite_shape(node: Node) -> tuple[int, ...]:
    return tuple(int(dim.count) for dim in node.type.dims if not dim.width)


def _finite_labels(node: Node, side: str) -> tuple[int, ...]:
    """Return the labels of an operand's finite axes."""
    operand = node.operands[0 if side == "left" else 1]
    labels = node.attrs[side]
    return tuple(
        label for label, dim in zip(labels, operand.type.dims, strict=True) if not dim.width
    )
