"""``all``: one experiment that fails or lacks its data keeps no other from running."""

from pathlib import Path

import pytest

from experiments.data.download import DataNotFoundError
from experiments.runner import catalogue, run_all
from experiments.runner.config import ExperimentConfig
from experiments.runner.experiment import Experiment


def experiment(name: str, error: Exception | None) -> Experiment:
    def run(config, page) -> None:
        if error is not None:
            raise error
        page.compare("one", 1.0)

    return Experiment(name, name, ExperimentConfig, run)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (None, 0, "ok"),
        (DataNotFoundError("flowers.gz is nowhere"), 0, "1 skipped"),
        (ValueError("the flowers wilted"), 1, "1 failed"),
    ],
)
def test_the_rest_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, error, code, told
) -> None:
    found = {"first": experiment("first", error), "second": experiment("second", None)}
    monkeypatch.setattr(catalogue, "names", lambda: tuple(found))
    monkeypatch.setattr(catalogue, "experiment", found.get)
    assert run_all.command(["--quick", "--runs", str(tmp_path)]) == code
    shown = capsys.readouterr()
    assert told in shown.out
    assert len(list(tmp_path.glob("second/*/report.md"))) == 1
    if isinstance(error, DataNotFoundError):
        assert "skipped: flowers.gz is nowhere" in shown.err
