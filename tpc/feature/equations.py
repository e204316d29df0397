"""The limit as equations, beside the limit as numbers."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import TpcError

if TYPE_CHECKING:
    from tpc.derivation import Derivation
    from tpc.derivation.result import Line
    from tpc.ir.module import Module


class Readable:
    """What a feature-learning limit of ``module`` prints (see :mod:`tpc.derivation`)."""

    module: Module

    @cached_property
    def derivation(self) -> Derivation:
        """The recursion of the Z's.

        Raises:
            TpcError: an op or an optimizer has no rule for equations.
        """
        from tpc.derivation import derivation

        return derivation(self.module)

    @property
    def equations(self) -> tuple[Line, ...]:
        """The equations: initial values, steps 0 and 1, and any step t."""
        return self.derivation.equations

    def text(self) -> str:
        """Return the equations as text."""
        return self.derivation.text()

    def latex(self) -> str:
        """Return the equations as a LaTeX ``aligned`` block, without delimiters."""
        return self.derivation.latex()

    def markdown(self) -> str:
        """Return the equations as Markdown."""
        return self.derivation.markdown()

    def to_json(self) -> dict[str, Any]:
        """Return what ``tpc derive --kind feature --json`` prints."""
        return self.derivation.to_json()

    def _repr_latex_(self) -> str | None:
        try:
            return self.derivation._repr_latex_()
        except TpcError:
            return None
