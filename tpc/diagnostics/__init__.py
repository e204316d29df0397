"""Errors, warnings and notes about a user's program, as values, and their renderings."""

from tpc.diagnostics.codes import Code, all_codes, explain
from tpc.diagnostics.diagnostic import Diagnostic, Label, Severity, TpcError
from tpc.diagnostics.full import ansi, plain, render_full
from tpc.diagnostics.machine import diagnostic_object, render_concise, render_github, render_json
from tpc.diagnostics.render import FORMATS, render
from tpc.diagnostics.source import Source, Span
from tpc.diagnostics.suggest import closest, did_you_mean

__all__ = [
    "FORMATS",
    "Code",
    "Diagnostic",
    "Label",
    "Severity",
    "Source",
    "Span",
    "TpcError",
    "all_codes",
    "ansi",
    "closest",
    "diagnostic_object",
    "did_you_mean",
    "explain",
    "plain",
    "render",
    "render_concise",
    "render_full",
    "render_github",
    "render_json",
]
