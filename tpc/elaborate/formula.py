"""The formula of ``act phi(z) = ...``: from the tree to an exact formula, never through text."""

from __future__ import annotations

from collections.abc import Callable

from tpc.diagnostics import Span, did_you_mean
from tpc.elaborate.calls import with_parameters
from tpc.elaborate.context import Context
from tpc.elaborate.lookup import builtins
from tpc.elaborate.report import Failed
from tpc.elaborate.values import ActivationKind, Pending, Poison, Special, Value, describe
from tpc.exact import Coefficient, Constant
from tpc.ops.activations import Activation, ActivationError
from tpc.ops.activations import formula as fm
from tpc.ops.activations.written import from_formula
from tpc.syntax import tree

_BINARY: dict[str, Callable[[fm.Formula, fm.Formula], fm.Formula]] = {
    "+": fm.add,
    "-": fm.subtract,
    "*": fm.multiply,
    "/": fm.divide,
}


def written(context: Context, declaration: tree.ActDeclaration) -> Activation:
    """The activation that a formula defines.

    Raises:
        Failed: the formula means nothing; the reporter knows.
    """
    reader = _Reader(context, declaration.arguments[0].name)
    try:
        formula = reader.read(declaration.body)
    except (fm.FormulaError, ActivationError, ValueError, OverflowError) as error:
        raise context.reporter.failure(
            "E0503", f"this formula has no value: {error}", declaration.body.span
        ) from error
    return from_formula(formula, name=declaration.name.name)


class _Reader:
    """Reads formulas in one variable."""

    def __init__(self, context: Context, variable: str) -> None:
        self.context, self.variable = context, variable

    def read(self, expression: tree.Expression) -> fm.Formula:
        try:
            return self._read(expression)
        except ZeroDivisionError:
            raise self._failure("E0702", "division by zero", expression.span) from None

    def _read(self, expression: tree.Expression) -> fm.Formula:
        match expression:
            case tree.Number():
                return fm.number(Constant.of(expression.value))
            case tree.Name():
                return self._name(expression)
            case tree.Signed():
                inner = self.read(expression.operand)
                return fm.negate(inner) if expression.sign == "-" else inner
            case tree.Chain():
                return self._chain(expression)
            case tree.Power():
                return self._power(expression)
            case tree.Call():
                return self._call(expression)
            case tree.Comparison():
                raise self._failure(
                    "E0211",
                    "a comparison may only be the condition of a `where`",
                    expression.span,
                    help="write `where(z > 0, z, 0)`",
                )
        raise self._failure(
            "E0211",
            "this has no meaning in the formula of an activation",
            expression.span,
            help="a formula is made of numbers, the variable, `+ - * / ^` and functions of them",
        )

    def _failure(self, code: str, text: str, span: Span, help: str | None = None) -> Failed:
        return self.context.reporter.failure(code, text, span, help=help)

    def _lookup(self, name: tree.Name) -> Value:
        definition = self.context.globals.get(name.name)
        if definition is not None:
            definition.used = True
            if definition.kind not in ("size", "constant", "activation"):
                raise self._failure(
                    "E0211",
                    f"the {definition.kind} `{name.name}` may not stand in a formula",
                    name.span,
                    help="a formula is made of its variable, numbers, sizes and `real` constants",
                )
            if isinstance(definition.value, Pending):
                raise self._failure(
                    "E0204",
                    f"`{name.name}` has no value here",
                    name.span,
                    help="declare the activations that a formula uses above it",
                )
            if isinstance(definition.value, Poison):
                raise Failed
            return definition.value
        if name.name in builtins():
            return builtins()[name.name]
        known = [self.variable, *self.context.globals, *builtins()]
        raise self.context.reporter.failure(
            "E0201",
            f"`{name.name}` is not defined",
            name.span,
            help=did_you_mean(name.name, known) or f"the variable here is `{self.variable}`",
        )

    def _name(self, name: tree.Name) -> fm.Formula:
        if name.name == self.variable:
            return fm.Z
        value = self._lookup(name)
        if isinstance(value, Coefficient) and value.power == 0:
            return fm.number(value.constant)
        help = None
        if isinstance(value, (Activation, ActivationKind, Special)):
            help = f"apply it: `{name.name}({self.variable})`"
        raise self.context.reporter.failure(
            "E0211",
            f"{describe(value)} may not stand in the formula of an activation",
            name.span,
            help=help,
        )

    def _chain(self, chain: tree.Chain) -> fm.Formula:
        result = self.read(chain.first)
        for link in chain.links:
            if link.operator not in _BINARY:
                raise self._failure(
                    "E0211",
                    "`@` has no meaning in the formula of an activation",
                    link.span,
                    help="a formula acts on one number: write `*`",
                )
            result = _BINARY[link.operator](result, self.read(link.operand))
        return result

    def _power(self, expression: tree.Power) -> fm.Formula:
        exponent = self.read(expression.exponent)
        rational = exponent.value.as_fraction() if isinstance(exponent, fm.Number) else None
        base = self.read(expression.base)
        if rational is None:
            if isinstance(base, fm.Number):
                log = Constant.log(base.value)
                return self._apply("exp", fm.multiply(exponent, fm.number(log)))
            raise self._failure(
                "E0308",
                "an exponent is a rational number",
                expression.exponent.span,
                help="other powers are written `exp(q * log(x))`",
            )
        return fm.power(base, rational)

    def _apply(self, name: str, argument: fm.Formula) -> fm.Formula:
        function = builtins()[name]
        assert isinstance(function, Activation)
        return fm.apply(function, argument)

    def _call(self, call: tree.Call) -> fm.Formula:
        function = self._function(call.function)
        arguments = self._arguments(call)
        if isinstance(function, Special):
            return self._special(function.name, arguments, call)
        if len(arguments) != 1:
            raise self._failure(
                "E0205", f"an activation takes one value, not {len(arguments)}", call.span
            )
        return fm.apply(function, self.read(arguments[0]))

    def _function(self, expression: tree.Expression) -> Activation | Special:
        """What is called: an activation, with its parameters, or a word of formulas."""
        if isinstance(expression, tree.Call) and isinstance(expression.function, tree.Name):
            kind = self._lookup(expression.function)
            if isinstance(kind, ActivationKind):
                given = [self._number(each) for each in self._arguments(expression)]
                return with_parameters(self.context, kind, given, expression.span)
        if isinstance(expression, tree.Name):
            value = self._lookup(expression)
            if isinstance(value, ActivationKind):
                return with_parameters(self.context, value, [], expression.span)
            if isinstance(value, Activation) or (
                isinstance(value, Special) and value.name != "grad"
            ):
                return value
        raise self.context.reporter.failure(
            "E0211",
            "only activations, `sqrt`, `min`, `max` and `where` may be applied in a formula",
            expression.span,
        )

    def _number(self, expression: tree.Expression) -> Constant:
        formula = self.read(expression)
        if isinstance(formula, fm.Number):
            return formula.value
        raise self.context.reporter.failure(
            "E0213", "a parameter of an activation is a number", expression.span
        )

    def _arguments(self, call: tree.Call) -> list[tree.Expression]:
        found = []
        for argument in call.arguments:
            if isinstance(argument, tree.Comprehension) or argument.name is not None:
                raise self.context.reporter.failure(
                    "E0206", "arguments have no names here", argument.span
                )
            found.append(argument.value)
        return found

    def _special(self, name: str, arguments: list[tree.Expression], call: tree.Call) -> fm.Formula:
        wanted = {"where": 3, "sqrt": 1}.get(name, 2)
        if len(arguments) != wanted:
            raise self._failure(
                "E0205", f"`{name}` takes {wanted} arguments, not {len(arguments)}", call.span
            )
        if name == "where":
            return self._where(arguments)
        values = [self.read(each) for each in arguments]
        if name == "sqrt":
            return fm.sqrt(values[0])
        return fm.minimum(*values) if name == "min" else fm.maximum(*values)

    def _where(self, arguments: list[tree.Expression]) -> fm.Formula:
        condition, then, otherwise = arguments
        if not isinstance(condition, tree.Comparison):
            raise self._failure(
                "E0211",
                "the condition of a `where` is a comparison",
                condition.span,
                help="write `where(z > 0, z, 0)`",
            )
        left, right = self.read(condition.left), self.read(condition.right)
        if condition.operator in ("<", "<="):
            left, right = right, left
        return fm.where(
            fm.subtract(left, right),
            self.read(then),
            self.read(otherwise),
            strict=condition.operator in ("<", ">"),
        )
