"""A trained run of ``digits``, made once, and a way to call the command line."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from experiments.runner.main import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Carry out one command in this process."""

    def call(*words: object) -> Outcome:
        code = main([str(word) for word in words])
        return Outcome(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of ``digits`` with its default options."""
    runs = tmp_path_factory.mktemp("runs")
    assert main(["digits", "--runs", str(runs), "--name", "first"]) == 0
    return runs / "digits" / "first"


@pytest.fixture
def mnist_folder() -> str:
    """The folder of the data, for a test that needs MNIST itself."""
    folder = os.environ.get("JAXNN_DATA")
    if not folder or not (Path(folder) / "mnist").is_dir():
        pytest.skip("needs MNIST: set JAXNN_DATA to a folder that holds mnist/")
    return folder
