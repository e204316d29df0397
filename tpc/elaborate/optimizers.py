"""The ``optimizer`` lines: their settings, and which params each of them moves."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tpc.diagnostics import Span, did_you_mean
from tpc.elaborate import numbers
from tpc.elaborate.context import Context, Scope
from tpc.elaborate.expressions import evaluate
from tpc.elaborate.indexing import key
from tpc.elaborate.params import member_name
from tpc.elaborate.report import Failed
from tpc.elaborate.values import Family
from tpc.exact import Coefficient
from tpc.ir.module import OptimizerSpec
from tpc.optimizers import optimizers
from tpc.optimizers.base import Optimizer, Option
from tpc.syntax import tree


def optimizer_lines(
    context: Context, scope: Scope, block: tree.TrainDeclaration
) -> tuple[OptimizerSpec, ...]:
    """The optimizers of a training block; every faulty line is reported."""
    statements = [each for each in block.body if isinstance(each, tree.OptimizerDeclaration)]
    if not statements:
        context.reporter.report(
            "E0604",
            "`train:` has no optimizer",
            block.keyword,
            help="add a line such as `optimizer sgd(lr = 0.1)`",
        )
        return ()
    lines: list[OptimizerSpec] = []
    failed = False
    for statement in statements:
        try:
            lines.append(_line(context, scope, statement))
        except Failed:
            failed = True
    if not failed:
        _check_split(context, lines)
    return tuple(lines)


def _line(context: Context, scope: Scope, statement: tree.OptimizerDeclaration) -> OptimizerSpec:
    name, arguments = _parts(context, statement.rule)
    optimizer = optimizers().get(name.name)
    if optimizer is None:
        known = sorted(optimizers())
        raise context.reporter.failure(
            "E0608",
            f"there is no optimizer `{name.name}`",
            name.span,
            help=did_you_mean(name.name, known) or "one of " + ", ".join(f"`{x}`" for x in known),
        )
    options = _options(context, scope, optimizer, statement.rule.span, arguments)
    params = _members(context, scope, statement)
    _check_fits(context, optimizer, params, statement)
    return OptimizerSpec(name.name, options, params, statement.span)


def _parts(
    context: Context, rule: tree.Expression
) -> tuple[tree.Name, tuple[tree.Argument | tree.Comprehension, ...]]:
    if isinstance(rule, tree.Name):
        return rule, ()
    if isinstance(rule, tree.Call) and isinstance(rule.function, tree.Name):
        return rule.function, rule.arguments
    raise context.reporter.failure(
        "E0608", "an optimizer is named here", rule.span, help="write `optimizer sgd(lr = 0.1)`"
    )


def _options(
    context: Context,
    scope: Scope,
    optimizer: Optimizer,
    span: Span,
    arguments: tuple[tree.Argument | tree.Comprehension, ...],
) -> Mapping[str, Coefficient | str]:
    known = {each.name: each for each in optimizer.options}
    found: dict[str, Coefficient | str] = {}
    failed = False
    for argument in arguments:
        try:
            name = _option_name(context, optimizer, known, found, argument)
            assert isinstance(argument, tree.Argument)
            found[name] = _setting(context, scope, known[name], argument.value)
        except Failed:
            failed = True
    if failed:
        raise Failed
    for option in optimizer.options:
        if option.required and option.name not in found:
            raise context.reporter.failure(
                "E0609",
                f"`{optimizer.name}` lacks its setting `{option.name}`",
                span,
                help=f"write `{optimizer.name}({option.name} = 0.1)`: {option.summary}",
            )
    return MappingProxyType(found)


def _option_name(
    context: Context,
    optimizer: Optimizer,
    known: Mapping[str, Option],
    found: Mapping[str, Coefficient | str],
    argument: tree.Argument | tree.Comprehension,
) -> str:
    if isinstance(argument, tree.Comprehension) or argument.name is None:
        raise context.reporter.failure(
            "E0609",
            "the settings of an optimizer are given by name",
            argument.span,
            help=f"write `{optimizer.name}(lr = 0.1)`",
        )
    name = argument.name.name
    if name not in known:
        choices = ", ".join(f"`{each}`" for each in known)
        raise context.reporter.failure(
            "E0609",
            f"`{optimizer.name}` has no setting `{name}`",
            argument.name.span,
            help=did_you_mean(name, known) or f"it has {choices}",
        )
    if name in found:
        raise context.reporter.failure("E0609", f"`{name}` is given twice", argument.span)
    return name


def _setting(
    context: Context, scope: Scope, option: Option, expression: tree.Expression
) -> Coefficient | str:
    if isinstance(expression, tree.Name) and expression.name in option.words:
        return expression.name
    if option.worded:
        raise context.reporter.failure(
            "E0609",
            f"`{option.name}` is no number",
            expression.span,
            help="write " + " or ".join(f"`{option.name} = {word}`" for word in option.words),
        )
    value = evaluate(context, scope, expression)
    what = f"`{option.name}`"
    found = numbers.coefficient(value, expression.span, what, context.reporter)
    if found.constant.sign < 0 or (option.name == "lr" and found.is_zero):
        raise context.reporter.failure(
            "E0609",
            f"`{option.name}` must be positive, this is {found}",
            expression.span,
            help="a param that never moves is `frozen`" if option.name == "lr" else None,
        )
    return found


# ---- which params a line moves -------------------------------------------------------------------


def _members(
    context: Context, scope: Scope, statement: tree.OptimizerDeclaration
) -> tuple[str, ...] | None:
    if not statement.members:
        return None
    found: list[str] = []
    for member in statement.members:
        found += _member(context, scope, member)
    return tuple(found)


def _member(context: Context, scope: Scope, member: tree.Member) -> list[str]:
    name = member.name.name
    definition = context.globals.get(name)
    if definition is None or definition.kind != "param":
        params = [each for each, found in context.globals.items() if found.kind == "param"]
        raise context.reporter.failure(
            "E0610",
            f"there is no param `{name}`",
            member.name.span,
            help=did_you_mean(name, params) or "name params that the program declares",
        )
    if not isinstance(definition.value, Family):
        if member.places:
            raise context.reporter.failure(
                "E0610", f"`{name}` is no family", member.span, help="remove the index"
            )
        return [name] if name in context.params else []
    if not member.places:
        return [member_name(name, each) for each in definition.value.members]
    wanted = key(context, scope, member.places)
    if wanted not in definition.value.members:
        raise context.reporter.failure(
            "E0610",
            f"there is no param `{member_name(name, wanted)}`",
            member.span,
            help=f"`for {name}` names the whole family",
        )
    return [member_name(name, wanted)]


def _check_fits(
    context: Context,
    optimizer: Optimizer,
    params: tuple[str, ...] | None,
    statement: tree.OptimizerDeclaration,
) -> None:
    """Refuse weights that an optimizer cannot move, where the line names them."""
    for name in params or ():
        refusal = optimizer.refuse(context.params[name].type)
        if refusal is not None:
            raise context.reporter.failure(
                "E0613",
                f"`{optimizer.name}` cannot move `{name}`: {refusal}",
                statement.rule.span,
                (context.params[name].span or statement.span, "declared here"),
                help="give it another optimizer on a line of its own",
            )


def _check_split(context: Context, lines: list[OptimizerSpec]) -> None:
    """Every moving param has one line."""
    owner: dict[str, OptimizerSpec] = {}
    rest: OptimizerSpec | None = None
    for line in lines:
        assert line.span is not None
        if line.params is None and rest is not None and rest.span is not None:
            context.reporter.report(
                "E0611",
                "two optimizers take the rest of the params",
                line.span,
                (rest.span, "this one does already"),
                help="say which params it moves: `optimizer adam(lr = 0.001) for W, Q`",
            )
        rest = line if line.params is None else rest
        for name in line.params or ():
            if name in owner:
                before = owner[name].span
                assert before is not None
                context.reporter.report(
                    "E0611",
                    f"two optimizers move `{name}`",
                    line.span,
                    (before, "this one does already"),
                    help=f"name `{name}` on one line only",
                )
            owner[name] = line
    left = [x for x, spec in context.params.items() if x not in owner and not spec.frozen]
    if left and rest is None and lines[-1].span is not None:
        context.reporter.report(
            "E0612",
            f"no optimizer moves `{left[0]}`",
            lines[-1].span,
            (context.params[left[0]].span or lines[-1].span, "declared here"),
            help="add a line without `for`, which takes the rest, or write `frozen`",
        )
    if rest is not None:
        _check_rest(context, rest, left)


def _check_rest(context: Context, rest: OptimizerSpec, left: list[str]) -> None:
    optimizer = optimizers()[rest.name]
    for name in left:
        refusal = optimizer.refuse(context.params[name].type)
        if refusal is not None and rest.span is not None:
            context.reporter.report(
                "E0613",
                f"`{rest.name}` cannot move `{name}`: {refusal}",
                rest.span,
                (context.params[name].span or rest.span, "declared here"),
                help=f"give it another: `optimizer adam(lr = 0.001) for {name.split('[')[0]}`",
            )
            return
