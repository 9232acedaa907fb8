"""Numbers of the experiments for docs/results.md: what is run, what is taken, and the command that gives it."""

import shlex
from pathlib import Path

import jax
import pytest

from experiments import character_model
from experiments.runner import results, results_numbers
from experiments.runner.command_line import parse
from experiments.runner.kept_page import KeptPage
from experiments.runner.run_folder import RunFolder
from experiments.runner.usage import typed

NAME = "line_descent"
OPTIONS = ({"quick": True}, {"quick": True, "seed": 3})


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder of runs in which every configuration of one experiment has been run to its end."""
    monkeypatch.setitem(results_numbers.VARIANTS, NAME, OPTIONS)
    assert results_numbers.run(NAME, tmp_path) == 0
    capsys.readouterr()
    return tmp_path


def test_each_configuration_is_run_until_it_has_ended(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {path.name for path in (finished / NAME).iterdir()} == {"results", "results-attempt2"}
    assert results_numbers.run(NAME, finished) == 0
    assert capsys.readouterr().out == ""  # nothing was missing
    first = RunFolder(finished / NAME / "results")
    first.write_result(first.read_json("result.json") | {"stopped": "interrupted"})
    assert results_numbers.run(NAME, finished) == 0
    assert f"== python -m experiments {NAME} --quick\n" in capsys.readouterr().out
    assert (finished / NAME / "results-attempt3" / "result.json").exists()


def test_the_page_shows_each_configuration_with_its_command_and_numbers(finished: Path) -> None:
    lines = results_numbers.tables(finished, KeptPage())
    for options, folder in zip(OPTIONS, ("results", "results-attempt2"), strict=True):
        result = RunFolder(finished / NAME / folder).read_json("result.json")
        words = "--seed 3 --quick" if "seed" in options else "--quick"
        assert (
            f"`python -m experiments {NAME} {words}`, {result['seconds']:.1f} s, jax {jax.__version__}"
            in lines
        )
    assert sum(line.startswith("### ") for line in lines) == 1


PUBLISHED = Path(__file__).parents[2] / "docs" / "results.md"


def test_the_published_page_is_written_again_from_itself(tmp_path: Path) -> None:
    """Where no run folder is at hand, nothing that the page shows is lost."""
    page = KeptPage.read(PUBLISHED)
    lines = [page.row(place, row.network) or "" for place, row in enumerate(results.ROWS)]
    written = results._page(lines, page.machines(lines), results_numbers.tables(tmp_path, page))
    assert written == PUBLISHED.read_text(encoding="utf-8")
    assert KeptPage.read(tmp_path / "none.md") == KeptPage()


@pytest.mark.parametrize("prompt", ["To be, or", "it's", "\n", "$HOME `ls`"])
def test_a_command_that_is_told_can_be_typed(prompt: str) -> None:
    config = character_model.Config(prompt=prompt, model="gru", ema=0.5)
    words = shlex.split(typed(character_model.EXPERIMENT, config))
    assert words[:4] == ["python", "-m", "experiments", "character_model"]
    assert parse(character_model.Config, words[4:], "character_model") == config
