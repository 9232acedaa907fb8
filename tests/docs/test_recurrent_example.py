"""The example of padded sequences runs, learns, and stays short."""

import importlib.util
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[2] / "docs" / "examples" / "bidirectional_gru.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("bidirectional_gru", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_learns() -> None:
    history = load().main(epochs=3, examples=512, features=8)
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    assert history["val_accuracy"][-1] > 0.6


def test_it_is_short() -> None:
    code = PATH.read_text(encoding="utf-8").split('"""', 2)[2]
    assert len([line for line in code.splitlines() if line.strip()]) < 40
