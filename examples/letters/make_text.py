"""Make text.txt: the prose of this project's own pages, in small letters, words and spaces only."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGES = HERE.parents[1] / "docs"


def prose(page: str) -> str:
    """Return what is written in whole lines of a page, without code and tables."""
    page = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in page.splitlines() if not line.startswith(("|", "#", "$", "<"))]
    text = re.sub(r"`[^`]*`|\[|\]\([^)]*\)|\$[^$]*\$", " ", " ".join(lines)).lower()
    return " ".join(re.findall(r"[a-z]+", text))


def main() -> None:
    """Write the text beside this file."""
    pages = sorted(PAGES.glob("*.md"))
    text = " ".join(prose(page.read_text(encoding="utf-8")) for page in pages)
    (HERE / "text.txt").write_text(text[:40_000].rsplit(" ", 1)[0], encoding="utf-8")


if __name__ == "__main__":
    main()
