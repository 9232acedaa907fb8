"""Every experiment, on a small scale: it runs to its end and leaves a page with pictures that are pictures."""

import json
import re
from pathlib import Path

import pytest

from experiments.runner import catalogue
from experiments.runner.experiment import Experiment

# Their programs take the compiler tens of seconds; their parts have quick tests of their own.
LONG = (
    "autoencoder",
    "handmade_features",
    "inside_a_cnn",
    "mnist_gan",
    "overfitting",
    "ring_network",
    "sequence_tasks",
    "translation",
    "vanishing_gradients",
    "variational_autoencoder",
)
EXPERIMENTS = [
    pytest.param(name, marks=pytest.mark.slow) if name in LONG else name
    for name in catalogue.names()
    if isinstance(catalogue.experiment(name), Experiment)
]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_quick_run_leaves_a_page(command, name: str, tmp_path: Path) -> None:
    outcome = command(name, "--quick", "--runs", tmp_path, "--name", "quick")
    if outcome.code and "JAXNN_DATA" in outcome.err:
        pytest.skip(f"needs data: {outcome.err.strip()}")
    assert outcome.code == 0, outcome.err
    folder = tmp_path / name / "quick"
    page = (folder / "report.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", page)
    assert pictures
    for picture in pictures:
        assert (folder / picture).read_bytes()[:4] in (b"\x89PNG", b"GIF8")
    drawn = {path.name for path in folder.iterdir() if path.suffix in (".png", ".gif")}
    assert drawn == set(pictures)
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert result["stopped"] is None
    assert all(row["ours"] is not None for row in result["compared"])
