"""Set tpc up and run it, with nothing but Python 3.11 or newer and this checkout.

    python3 dev.py demo             set up, then classify, fit and draw the example on real images
    python3 dev.py test [ARGS ...]  set up, then lint, check types and run the tests
    python3 dev.py bench            set up, then measure against the stated bounds

The packages go into the active virtual environment, or else into ``.venv`` beside this file.
Nothing is installed again until ``pyproject.toml`` changes, so later runs need no network.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST = (3, 11)


def say(message: str) -> None:
    """Print progress on stderr, so that stdout belongs to the job."""
    print(f"dev.py: {message}", file=sys.stderr, flush=True)


def fail(message: str) -> None:
    """Print a message and end with exit code 1."""
    say(message)
    raise SystemExit(1)


def check_version() -> None:
    """End with a clear message on a Python that is too old."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        needed = ".".join(map(str, OLDEST))
        fail(f"Python {needed} or newer is needed; this is {found} ({sys.executable})")


def active_environment() -> Path | None:
    """Return the virtual environment that this Python or shell is in, if any."""
    if sys.prefix != sys.base_prefix:
        return Path(sys.prefix)
    named = os.environ.get("VIRTUAL_ENV")
    return Path(named) if named and interpreter(Path(named)).exists() else None


def interpreter(environment: Path) -> Path:
    """Return the Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def works(environment: Path) -> bool:
    """Return whether an environment has a Python that runs and has pip."""
    command = [str(interpreter(environment)), "-m", "pip", "--version"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def make_environment(environment: Path) -> None:
    """Create a virtual environment, or say what the system lacks for it."""
    say(f"creating {environment.name}")
    command = [sys.executable, "-m", "venv", "--clear", str(environment)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0 and works(environment):
        return
    say((done.stdout + done.stderr).strip())
    short = f"{sys.version_info[0]}.{sys.version_info[1]}"
    fail(
        "this Python cannot make virtual environments with pip. On Debian or Ubuntu install "
        f"python{short}-venv; elsewhere use a Python that has ensurepip, or activate a virtual "
        "environment of your own and run dev.py again"
    )


def fingerprint(extra: str) -> str:
    """Return a hash of what an installation depends on."""
    parts = [(ROOT / "pyproject.toml").read_bytes(), str(ROOT).encode(), extra.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def install(environment: Path, extra: str) -> None:
    """Install the project into the environment, unless a stamp says that it is there."""
    stamp = environment / "tpc-installed.txt"
    done = stamp.read_text(encoding="utf-8").split() if stamp.exists() else []
    if fingerprint(extra) in done or fingerprint("[dev]") in done:
        return
    say(f"installing tpc{extra} and what it needs into {environment.name}")
    command = [str(interpreter(environment)), "-m", "pip", "install", "--quiet"]
    command += ["--disable-pip-version-check", "--editable", f"{ROOT}{extra}"]
    if subprocess.run(command, check=False).returncode:
        fail("pip could not install the project; its message stands above")
    stamp.write_text(fingerprint(extra) + "\n", encoding="utf-8")


def set_up(extra: str = "") -> str:
    """Return the Python of an environment in which tpc is installed."""
    environment = active_environment()
    if environment is None:
        environment = ROOT / ".venv"
        if not works(environment):
            make_environment(environment)
    elif not works(environment):
        fail(f"the active virtual environment has no pip: run {sys.executable} -m ensurepip")
    install(environment, extra)
    return str(interpreter(environment))


def run(*command: str, **variables: str) -> int:
    """Run a command in the checkout, with further environment variables; return its exit code."""
    try:
        environment = {**os.environ, **variables}
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    except KeyboardInterrupt:
        return 130


def demo(arguments: list[str]) -> int:
    """Run the main job on real images.

    Its matrices are small: one thread for them is safe on machines that others use too, where
    several threads of OpenBLAS may take ten times as long.
    """
    script = str(Path("examples", "characters", "run.py"))
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "1")
    return run(set_up(), script, *arguments, OPENBLAS_NUM_THREADS=threads)


def test(arguments: list[str]) -> int:
    """Run the linter, the type checker and the tests; fail if any of them fails."""
    python = set_up("[dev]")
    steps = [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("pytest", "-n", "2", *arguments),
    ]
    failed = []
    for step in steps:
        say(" ".join(step))
        if run(python, "-m", *step):
            failed.append(" ".join(step[:2]))
    if failed:
        fail("failed: " + ", ".join(failed))
    return 0


def bench(arguments: list[str]) -> int:
    """Measure start-up, deep programs, kernel reuse and the tests against their bounds."""
    return run(set_up("[dev]"), str(Path("bench", "run.py")), *arguments)


def main() -> int:
    """Run the command named on the command line."""
    check_version()
    commands = {"demo": demo, "test": test, "bench": bench}
    name, *arguments = sys.argv[1:] or ["help"]
    if name not in commands:
        print(__doc__)
        return 0 if name in ("help", "-h", "--help") else 2
    return commands[name](arguments)


if __name__ == "__main__":
    sys.exit(main())
