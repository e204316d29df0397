"""Long runs on a stream of batches: scored now and then, the best state kept, resumable."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.diagnostics import Diagnostic, TpcError
from tpc.storage import write_arrays

if TYPE_CHECKING:
    import numpy as np

    from tpc.kernel_session import KernelSession
    from tpc.session import Session

Batches = Callable[[int], Mapping[str, Any]]
Score = Callable[[Any], float]
Progress = Callable[[int, int], None]
#: Seconds between two states on disk.
EVERY = 30.0


@dataclass
class StreamRun:
    """What a run has seen: ``loss`` after each step, ``scores`` by step, and the ``best`` step.

    ``cpu`` are the seconds of CPU time that steps and scores took, those of earlier parts of a run
    that was continued included.
    """

    steps: int
    loss: list[float] = field(default_factory=list)
    scores: dict[int, float] = field(default_factory=dict)
    best: int = 0
    cpu: float = field(default=0.0, compare=False)

    @property
    def done(self) -> int:
        """How many steps were made."""
        return len(self.loss)


def train_stream(
    session: Session | KernelSession,
    batches: Batches,
    steps: int,
    *,
    score: Score | None = None,
    every: int = 100,
    checkpoint: Path | None = None,
    request: str = "",
    save_every: float = EVERY,
    progress: Progress | None = None,
) -> StreamRun:
    """Train on ``batches(0) .. batches(steps - 1)`` and leave the session in its best state.

    ``score(session)`` is asked for every so many steps and at the end, and the state of the highest
    score is kept (the first of equal ones; without ``score`` the last state). ``checkpoint`` names
    a file that the run's state is written to now and then, and when it is interrupted: the same
    call continues there, with the same result, as batches are functions of their number.
    ``request`` is text that says what is run: a file of another run is refused. The file is removed
    at the end. ``progress`` is called with the steps done and their total.

    Raises:
        TpcError: the file cannot be read or written, or is of another run.
    """
    run = _Stream(session, StreamRun(steps), checkpoint, f"{steps} {every} {request}")
    run.resume()
    run.began = time.process_time() - run.seen.cpu
    next_save = time.monotonic() + save_every
    try:
        for step in range(run.seen.done, steps):
            run.seen.loss.append(session.step(batches(step)))
            if score is not None and ((step + 1) % every == 0 or step + 1 == steps):
                run.scored(score(session))
            if time.monotonic() >= next_save:
                run.save()
                next_save = time.monotonic() + save_every
            if progress is not None:
                progress(step + 1, steps)
    except KeyboardInterrupt:
        if session.steps_done == run.seen.done:
            run.save()
        raise
    run.seen.cpu = time.process_time() - run.began
    if run.best_state:
        session.restore(run.best_state)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return run.seen


class _Stream:
    """A run, its best state, and its file."""

    def __init__(
        self, session: Session | KernelSession, seen: StreamRun, path: Path | None, request: str
    ) -> None:
        self.session, self.seen, self.path, self._request = session, seen, path, request
        self.best_state, self.began = b"", 0.0

    def scored(self, value: float) -> None:
        """Take note of a score, and of the state where it is the best so far."""
        seen, step = self.seen, self.seen.done
        if not seen.scores or value > seen.scores[seen.best]:
            seen.best, self.best_state = step, self.session.state()
        seen.scores[step] = value

    def save(self) -> None:
        """Write the file."""
        import numpy as np

        if self.path is None:
            return
        seen = self.seen
        seen.cpu = time.process_time() - self.began
        write_arrays(
            self.path,
            {
                "request": np.array(self._request),
                "state": _bytes(self.session.state()),
                "best_state": _bytes(self.best_state),
                "best": np.array(seen.best),
                "cpu": np.array(seen.cpu),
                "loss": np.array(seen.loss),
                "scored": np.array(list(seen.scores), dtype=np.int64),
                "scores": np.array(list(seen.scores.values())),
            },
        )

    def resume(self) -> None:
        """Continue from the file, where there is one."""
        import numpy as np

        if self.path is None or not self.path.exists():
            return
        try:
            with np.load(self.path, allow_pickle=False) as file:
                found = dict(file)
            if str(found["request"]) != self._request:
                raise self._refused("is of another run")
            self.session.restore(found["state"].tobytes())
            self.best_state = found["best_state"].tobytes()
            self.seen.best, self.seen.cpu = int(found["best"]), float(found["cpu"])
            self.seen.loss = [float(x) for x in found["loss"]]
            pairs = zip(found["scored"], found["scores"], strict=True)
            self.seen.scores = {int(step): float(value) for step, value in pairs}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise self._refused(f"cannot be read ({error})") from error

    def _refused(self, why: str) -> TpcError:
        return TpcError(
            Diagnostic(
                "E0954",
                f"the saved state {self.path} {why}",
                help="remove the file to start anew, or name another one",
            )
        )


def _bytes(state: bytes) -> np.ndarray:
    import numpy as np

    return np.frombuffer(state, dtype=np.uint8)
