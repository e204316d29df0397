"""What a code stands for."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill, indent

_LINE = 88


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of diagnostic.

    ``explanation`` says what is wrong and why it matters; ``bad`` is a shortest program (or part
    of one) that earns the code and ``repaired`` the same, mended. ``bad`` is empty where a program
    text cannot show it.
    """

    code: str
    title: str
    explanation: str
    bad: str = ""
    repaired: str = ""

    def text(self) -> str:
        """The explanation as printed."""
        parts = [f"{self.code}: {self.title}", fill(self.explanation.strip(), _LINE)]
        if self.bad:
            parts += ["This is refused:", indent(self.bad.strip("\n"), "    ")]
        if self.repaired:
            parts += ["This is what was meant:", indent(self.repaired.strip("\n"), "    ")]
        return "\n\n".join(parts) + "\n"
