"""A contender's process as the harness sees it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """Starts a worker; each ``lap`` is one line out and one line in."""

    def __init__(self, row: str, contender: str, size: str, environment: Mapping[str, str]) -> None:
        self.name = contender
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (lives as long as the process)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks._worker", row, contender, size],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={"JAX_PLATFORMS": "cpu", **os.environ, **environment},
        )
        self.began = time.perf_counter()

    def answer(self) -> dict[str, Any]:
        """Wait for the worker's next line."""
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise RuntimeError(f"benchmarks: {self.name} ended early:\n{self._errors.read()[-2000:]}")
        return json.loads(line)

    def lap(self) -> dict[str, Any]:
        """Ask for a lap and return the answer to it."""
        requests = self._process.stdin
        if requests is None:
            raise RuntimeError(f"benchmarks: {self.name} has no standard input")
        requests.write("lap\n")
        requests.flush()
        return self.answer()

    def cpu_seconds(self) -> float:
        """Return the CPU time that the process has used so far."""
        try:
            with open(f"/proc/{self._process.pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except FileNotFoundError:  # it has ended, or the system has no /proc
            return 0.0
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def close(self) -> None:
        """End the process."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._errors.close()


def machine_cpu_seconds() -> float:
    """Return the CPU time that all processes of the machine have used since it started, 0 where unknown."""
    if not os.path.exists("/proc/stat"):
        return 0.0
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, soft, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + soft + steal) / _TICKS
