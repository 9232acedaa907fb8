"""Interleaved measurement: A B C ... A B C ..., with a check that nothing else ran meanwhile."""

import contextlib
import fcntl
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks._process import Process, machine_cpu_seconds
from benchmarks._row import Row

Say = Callable[[str], None]
# A turn during which other processes took more than this share of one core is measured again.
_DISTURBANCE = 0.08
_PATIENCE = 3


@contextlib.contextmanager
def _alone(lock: str | None) -> Iterator[None]:
    """Hold an exclusive lock on a file, for machines on which several jobs take turns."""
    if lock is None:
        yield
        return
    with open(lock, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Load:
    """The share of one core that processes other than ours took since the object was made."""

    def __init__(self, ours: list[Process]) -> None:
        self._ours = ours
        self._began = time.perf_counter()
        self._machine, self._own = machine_cpu_seconds(), self._used()

    def _used(self) -> float:
        return sum(process.cpu_seconds() for process in self._ours)

    def foreign(self) -> float:
        machine, own = machine_cpu_seconds() - self._machine, self._used() - self._own
        return max(0.0, machine - own) / max(time.perf_counter() - self._began, 1e-9)


def steady(name: str, row: Row, size: str, chosen: list[str], rounds: int, lock: str | None, say: Say) -> Any:
    """Measure laps of running processes, one process after the other, in ``rounds`` rounds."""
    results: dict[str, dict[str, Any]] = {}
    processes: dict[str, Process] = {}
    try:
        for contender in chosen:
            process = Process(name, contender, size, row.contender(contender).environment)
            processes[contender] = process
            opened = process.answer()
            if "absent" in opened:
                say(f"{contender}: skipped, {opened['absent']}")
                results[contender] = opened
                processes.pop(contender).close()
                continue
            first = process.answer()
            results[contender] = {**opened, "first": first["seconds"], "laps": [], "discarded": 0}
            say(f"{contender}: ready, first lap {first['seconds']:.2f} s")
        for index in range(rounds):
            with _alone(lock):
                for contender, process in processes.items():
                    _lap(process, results[contender], list(processes.values()))
            line = ", ".join(f"{c} {results[c]['laps'][-1]:.3f}" for c in processes)
            say(f"round {index + 1}/{rounds}: {line}")
    finally:
        for process in processes.values():
            process.close()
    return results


def _lap(process: Process, into: dict[str, Any], ours: list[Process]) -> None:
    best = None
    for _ in range(_PATIENCE):
        load = _Load(ours)
        answer = process.lap()
        foreign = load.foreign()
        if best is None or foreign < best[0]:
            best = (foreign, answer)
        if foreign <= _DISTURBANCE:
            break
        into["discarded"] += 1
    else:
        into["disturbed"] = into.get("disturbed", 0) + 1
        into["discarded"] -= 1
    foreign, answer = best
    into["laps"].append(answer["seconds"])
    into.setdefault("foreign", []).append(round(foreign, 3))
    into |= {k: answer[k] for k in ("result", "threads", "peak_mib", "programs") if k in answer}


def whole_processes(
    name: str, row: Row, size: str, chosen: list[str], rounds: int, lock: str | None, say: Say
) -> Any:
    """Measure processes from their start to the end of their first lap, without and with a compile cache."""
    results: dict[str, dict[str, Any]] = {}
    folders = {contender: tempfile.mkdtemp(prefix="benchmarks-cache-") for contender in chosen}
    try:
        for index in range(rounds + 1):
            with _alone(lock):
                for variant in row.variants:
                    for contender in chosen:
                        label = f"{contender}, {variant}" if len(row.variants) > 1 else contender
                        if "absent" in results.get(label, {}):
                            continue
                        cache = folders[contender] if variant == "warm" else None
                        answer = _whole(name, contender, size, row, cache)
                        into = results.setdefault(label, {"laps": [], "discarded": 0})
                        if "absent" in answer:
                            results[label] = answer
                        elif index:  # the first round fills the caches of the file system and the compiler
                            into["laps"].append(answer.pop("seconds"))
                            into.setdefault("foreign", []).append(answer.pop("foreign"))
                            into.update(answer)
            say(f"round {index}/{rounds} done")
    finally:
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)
    return results


def _whole(name: str, contender: str, size: str, row: Row, cache: str | None) -> dict[str, Any]:
    environment = dict(row.contender(contender).environment)
    if cache is not None:
        # Every executable is kept, however quickly it compiled.
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    process = Process(name, contender, size, environment)
    try:
        load = _Load([process])
        opened = process.answer()
        if "absent" in opened:
            return opened
        lap = process.answer()
        seconds = time.perf_counter() - process.began
        foreign = load.foreign()
    finally:
        process.close()
    return {
        "versions": opened["versions"],
        "seconds": seconds,
        "foreign": round(foreign, 3),
        "result": lap["result"],
        "threads": lap["threads"],
    }
