"""The training block: the loss, the optimizers, and what of the network the loss consumes."""

from __future__ import annotations

from tpc.diagnostics import Span
from tpc.elaborate.context import Context, Scope
from tpc.elaborate.expressions import tensor
from tpc.elaborate.optimizers import optimizer_lines
from tpc.elaborate.reach import everything, reads_weights
from tpc.elaborate.report import Failed
from tpc.elaborate.statements import run
from tpc.elaborate.values import Poison, describe
from tpc.ir.module import OptimizerSpec
from tpc.ir.node import Node
from tpc.ops.base import OpTypeError
from tpc.ops.batch import batch_mean
from tpc.ops.param import PARAM
from tpc.syntax import tree

_LOSS = "write `loss = mse(f(x), y)`; it is averaged over the batch"


def the_block(context: Context, program: tree.Program) -> tree.TrainDeclaration | None:
    """The training block, if there is one; further ones are reported."""
    found = [each for each in program.body if isinstance(each, tree.TrainDeclaration)]
    for other in found[1:]:
        context.reporter.report(
            "E0601",
            "a program has one `train:` block",
            other.keyword,
            (found[0].keyword, "the first is here"),
            help="put its lines into the first",
        )
    return found[0] if found else None


def train(
    context: Context, block: tree.TrainDeclaration
) -> tuple[Node | None, tuple[OptimizerSpec, ...]]:
    """Run the block: the loss, None where a mistake kept it from a value, and the optimizers."""
    scope = Scope("`train:`", body=block.body, training=True)
    run(context, scope, block.body)
    loss = _loss(context, scope, block)
    lines = optimizer_lines(context, scope, block)
    if loss is not None:
        _check_moving(context, loss, scope.names["loss"].span)
    return loss, lines


def _loss(context: Context, scope: Scope, block: tree.TrainDeclaration) -> Node | None:
    definition = scope.names.get("loss")
    if definition is None:
        context.reporter.report("E0602", "`train:` assigns no `loss`", block.keyword, help=_LOSS)
        return None
    if isinstance(definition.value, Poison):
        return None
    try:
        node = tensor(context, definition.value, definition.span)
    except Failed:
        return None
    if node.type.rank:
        context.reporter.report(
            "E0603",
            f"the loss must be a scalar, this is {describe(node)}",
            definition.span,
            help="reduce it: `mse(f(x), y)`, or `mean(...)`",
        )
        return None
    try:
        mean = batch_mean(node)
    except OpTypeError as error:
        context.reporter.report("E0603", error.message, definition.span, help=error.help)
        return None
    context.place(mean, definition.span)
    return mean


def _check_moving(context: Context, loss: Node, span: Span) -> None:
    """A loss that hangs on no weight that may move trains nothing."""
    names = {each.attrs["name"] for each in everything([loss]) if each.op is PARAM}
    if not names:
        context.reporter.report(
            "E0605",
            "the loss depends on no param",
            span,
            help="a loss compares the network's output with a target: `mse(f(x), y)`",
        )
    elif all(context.params[name].frozen for name in names):
        context.reporter.report(
            "E0605",
            "every param that the loss depends on is frozen",
            span,
            help="let one of them move: remove its `frozen`",
        )


# ---- outputs -------------------------------------------------------------------------------------


def outputs(
    context: Context, loss: Node | None, scope_calls: list[tuple[str, Node, Span]]
) -> list[tuple[str, Node, Span]]:
    """The network values that the loss consumes: the outermost calls whose weights are their own.

    Where no function computes them (or weights act on what functions compute: a trunk and readouts
    in the training block), the largest values that depend on weights directly below the loss do,
    under the name that the program gives them.
    """
    if loss is None:
        return []
    calls = {node: (name, node, span) for name, node, span in scope_calls}
    found = _frontier(loss, calls)
    if found and not _weights_act(loss, [node for _, node, _ in found]):
        return found
    named = {
        node: (name, node, span)
        for name, node, span in context.named
        if name != "loss" and node is not loss and reads_weights(node) and node.op is not PARAM
    }
    return _frontier(loss, named) or [("loss", loss, context.spans[loss])]


def _weights_act(loss: Node, found: list[Node]) -> bool:
    """Whether weights multiply the results of calls on the way to the loss.

    Weights that are only added to the loss (a penalty), or multiply it as scalars, do not.
    """
    from tpc.elaborate.reach import forward

    for node in forward(loss, cut=found):
        if node.op.name != "contract" and (node.op.name != "multiply" or not node.type.rank):
            continue
        one, other = node.operands
        for weight, value in ((one, other), (other, one)):
            if reads_weights(weight, found) and set(found) & set(forward(value)):
                return True
    return False


def _frontier(
    root: Node, candidates: dict[Node, tuple[str, Node, Span]]
) -> list[tuple[str, Node, Span]]:
    """The candidates that are met first on the way down from ``root``."""
    from tpc.elaborate.reach import forward

    below = set(forward(root, cut=candidates.keys()))
    touched = {operand for node in below for operand in node.operands} | {root}
    return [each for node, each in candidates.items() if node in touched and _enters(node, below)]


def _enters(node: Node, below: set[Node]) -> bool:
    """Whether ``node`` is used by forward values, not only inside of an inner gradient."""
    from tpc.ops.rate import RATE

    users = [each for each in below if node in each.operands]
    return not users or any(each.op is not RATE for each in users)
