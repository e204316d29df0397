"""Collecting diagnostics: every mistake once, and none that follows from another."""

from __future__ import annotations

from tpc.diagnostics import Diagnostic, Label, Severity, Span

MOST_ERRORS = 50

#: What mends mistakes of a kind, where the place itself has nothing better to say.
_USUAL_HELP = {
    "E0702": "constants are real numbers of at most a few thousand digits",
    "E0213": "parameters are numbers: `leaky_relu(0.2)`, `hermite(3)`, `rbf(1)`",
    "E0503": "check the constant parts of the formula",
    "E0705": "numbers are made of literals, sizes, `real` constants and loop variables",
    "E0303": "`tpc explain E0303`, or the language reference, says what each function takes",
}


class Failed(Exception):  # noqa: N818 - control flow: the mistake has been reported already
    """What was being elaborated has no value; a diagnostic says why."""


class Reporter:
    """The diagnostics of one elaboration."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Span | None], Diagnostic] = {}

    def report(
        self,
        code: str,
        headline: str,
        span: Span | None,
        *labels: tuple[Span, str],
        help: str | None = None,
        severity: Severity = "error",
    ) -> None:
        """Add a diagnostic, unless its place has one with this code (a second call)."""
        key = (code, span)
        if key not in self._found and len(self._found) < MOST_ERRORS:
            made = tuple(Label(*label) for label in labels)
            help = help or _USUAL_HELP.get(code)
            self._found[key] = Diagnostic(code, headline, span, made, help, severity)

    def failure(
        self,
        code: str,
        headline: str,
        span: Span | None,
        *labels: tuple[Span, str],
        help: str | None = None,
    ) -> Failed:
        """Add an error; what is returned is to be raised, to give up what was being elaborated."""
        self.report(code, headline, span, *labels, help=help)
        return Failed()

    def add(self, diagnostic: Diagnostic) -> None:
        """Add a diagnostic that was made elsewhere."""
        self._found.setdefault((diagnostic.code, diagnostic.span), diagnostic)

    @property
    def all(self) -> tuple[Diagnostic, ...]:
        """Everything found, in the order of the text."""
        return tuple(
            sorted(self._found.values(), key=lambda each: each.span.start if each.span else -1)
        )

    @property
    def has_errors(self) -> bool:
        """Whether the program is refused."""
        return any(each.severity == "error" for each in self._found.values())
