"""One contender in a process of its own: ``python -m benchmarks._worker ROW CONTENDER SIZE``.

It writes one JSON line after each lap to its standard output, and begins the next when a line comes in.
Its first lap, which also imports and compiles, begins at once.
"""

import importlib
import json
import os
import resource
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TextIO


class Stopwatch:
    """Measures laps and waits to be asked for the next."""

    def __init__(self, answers: TextIO) -> None:
        self._answers = answers
        self._began = time.perf_counter()
        self._compiled: list[float] = []
        self._counts = False

    def __call__(self, result: float) -> None:
        """Report the lap that ends now, then wait."""
        result = float(result)  # waits for the device
        seconds = time.perf_counter() - self._began
        self.send(seconds=seconds, result=result, threads=_threads(), **self.used())
        if not sys.stdin.readline():
            raise SystemExit(0)
        self._began = time.perf_counter()

    def used(self) -> dict[str, Any]:
        """Return the most memory that the process has had so far, and what it has compiled."""
        # Kilobytes on Linux, bytes on macOS.
        unit = 1 if sys.platform == "darwin" else 1024
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
        compiled = {"programs": len(self._compiled)} if self._counts else {}
        return {"peak_mib": round(memory), **compiled}

    def count_programs(self) -> None:
        """Count the programs that JAX compiles from now on."""
        import jax

        def listen(event: str, seconds: float, **_: Any) -> None:
            if event == "/jax/core/compile/backend_compile_duration":
                self._compiled.append(seconds)

        jax.monitoring.register_event_duration_secs_listener(listen)
        self._counts = True

    def send(self, **answer: Any) -> None:
        """Write one line."""
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()


def _threads() -> int | None:
    """Return how many threads the process has, where the system tells."""
    tasks = "/proc/self/task"
    return len(os.listdir(tasks)) if os.path.exists(tasks) else None


def main(row_name: str, contender_name: str, size: str) -> None:
    """Run one contender until standard input closes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    row = importlib.import_module(f"benchmarks.{row_name}").ROW
    contender = row.contender(contender_name)
    watch = Stopwatch(answers)
    try:
        found = {package: version(package) for package in contender.packages}
    except PackageNotFoundError as error:
        watch.send(absent=f"{error.name} is not installed")
        return
    watch.send(versions=found)
    if row.laps == "steady" and "jax" in contender.packages:
        watch.count_programs()
    contender.drive(row.sizes[size], watch)


if __name__ == "__main__":
    main(*sys.argv[1:])
