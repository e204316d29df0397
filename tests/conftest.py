"""What every test can use: golden files, one hypothesis profile, a kernel cache of its own."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).resolve().parent
GOLDEN = TESTS / "golden"
CACHE = TESTS.parent / ".pytest_cache" / "kernels"

# Tests run in several processes: threads inside of each would only fight for the same cores. The
# libraries read this when they are first imported, which is after this file is.
for _threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")

Golden = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the texts that golden tests produce to tests/golden instead of comparing",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Fix what would make two runs differ, before any module of tpc is imported."""
    slow_is_fine = [HealthCheck.too_slow]
    settings.register_profile(
        "tpc", deadline=None, derandomize=True, database=None, suppress_health_check=slow_is_fine
    )
    settings.register_profile(
        "explore", deadline=None, max_examples=1000, suppress_health_check=slow_is_fine
    )
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "tpc"))
    # Kernels compiled by tests stay between runs, in a folder that git ignores.
    os.environ.setdefault("NUMBA_CACHE_DIR", str(CACHE / "numba"))
    os.environ.setdefault("TPC_CACHE_DIR", str(CACHE / "tpc"))
    os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compare a text with ``tests/golden/<name>``: ``golden("perceptron.ir.txt", text)``.

    With ``--update-golden`` the file is written instead.
    """
    update = request.config.getoption("--update-golden")

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        text = text.rstrip("\n") + "\n"
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        if not path.exists():
            pytest.fail(
                f"tests/golden/{name} is missing: run pytest --update-golden", pytrace=False
            )
        expected = path.read_text(encoding="utf-8")
        if text != expected:
            pytest.fail(_difference(name, expected, text), pytrace=False)

    return compare


def _difference(name: str, expected: str, found: str) -> str:
    lines = difflib.unified_diff(
        expected.splitlines(), found.splitlines(), f"tests/golden/{name}", "this run", lineterm=""
    )
    return "\n".join(["the text has changed (--update-golden accepts it):", *lines])
