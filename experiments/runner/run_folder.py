"""A run's folder: what was asked, how it went epoch by epoch, and the weights.

``config.json``, ``metrics.jsonl`` (one JSON object an epoch, on disk when the epoch ends), ``result.json``
once the run has ended, ``params.safetensors`` and, where there is state, ``state.safetensors``,
``report.md`` and its pictures. Nothing is ever overwritten: a folder that exists is an error.
"""

import json
import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.runner.usage import UsageError
from jaxnn.interop import load_safetensors, save_safetensors
from jaxnn.interop._atomic_write import atomic_write


@dataclass(frozen=True)
class RunFolder:
    """The files of one run, below ``path``."""

    path: Path

    @classmethod
    def reserve(cls, runs: Path, experiment: str, name: str | None) -> "RunFolder":
        """Choose the folder ``runs/experiment/name`` without making it; by default its name is the time.

        Raises:
            UsageError: it exists already, or ``name`` is not the name of a folder.
        """
        parent = Path(runs) / experiment
        if name is None:
            return cls(next(path for path in _by_time(parent) if not path.exists()))
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise UsageError(f"--name: expected letters, digits, '.', '-' and '_', got {name!r}")
        if (parent / name).exists():
            raise UsageError(
                f"run folder {parent / name} exists; choose another --name, or remove the folder"
            )
        return cls(parent / name)

    def create(self, config: Mapping[str, Any]) -> None:
        """Make the folder and write ``config.json``.

        Raises:
            FileExistsError: another process made it first.
        """
        self.path.mkdir(parents=True)
        self._write_json("config.json", config)

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Add one line to ``metrics.jsonl``, safe on disk; a number that is not finite becomes null."""
        line = json.dumps(_plain(record), allow_nan=False) + "\n"
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def save_weights(self, params: Any, state: Any) -> None:
        """Write ``params.safetensors``, and ``state.safetensors`` where there is state."""
        for name, tree in (("params", params), ("state", state)):
            if tree:
                save_safetensors(self.path / f"{name}.safetensors", tree, {"format": "jaxnn", "tree": name})

    def load_weights(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Params and state as nested dicts of NumPy arrays."""
        params, state = (self.path / f"{name}.safetensors" for name in ("params", "state"))
        return load_safetensors(params), load_safetensors(state) if state.exists() else {}

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write ``result.json``, which says that the run has ended, how, and how well."""
        self._write_json("result.json", result)

    def read_json(self, name: str) -> dict[str, Any]:
        """Read ``config.json`` or ``result.json``.

        Raises:
            ValueError: the file is not a JSON object.
        """
        try:
            value = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{self.path / name}: not a JSON file ({error})") from error
        if not isinstance(value, dict):
            raise ValueError(f"{self.path / name}: expected a JSON object, got {type(value).__name__}")
        return value

    def read_metrics(self) -> list[dict[str, Any]]:
        """The records of ``metrics.jsonl``, in order."""
        text = (self.path / "metrics.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        with atomic_write(self.path / name) as temporary:
            temporary.write_text(
                json.dumps(_plain(value), indent=2, allow_nan=False) + "\n", encoding="utf-8"
            )


def _by_time(parent: Path) -> Iterator[Path]:
    now = time.strftime("%Y%m%d-%H%M%S")
    yield parent / now
    for number in range(2, 10_000):
        yield parent / f"{now}-{number}"


def _plain(value: Any) -> Any:
    """JSON has no NaN, no paths and no arrays."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (str, bool, int, type(None))):
        return value
    if isinstance(value, Path):
        return str(value)
    if getattr(value, "ndim", 0):
        return _plain(value.tolist())
    number = float(value)
    return number if math.isfinite(number) else None
