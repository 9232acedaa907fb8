"""``predict``: drawn digits in both polarities, and everything that can be wrong with its two arguments."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.experiments.drawn import STROKES, draw, save


@pytest.mark.parametrize(
    "colours", [("black", "white"), ("yellow", "navy")], ids=["dark on light", "light on dark"]
)
def test_drawn_digits_are_recognised(digits_run: Path, tmp_path: Path, colours: tuple[str, str]) -> None:
    from experiments.runner.predict import predict, read_run
    from experiments.runner.run_folder import RunFolder

    folder = RunFolder(digits_run)
    experiment, config = read_run(folder)
    ink, paper = colours
    right = 0
    for digit in STROKES:
        path = save(draw(digit, ink=ink, paper=paper), tmp_path / f"{digit}.png")
        answer = predict(experiment, config, folder, path)
        np.testing.assert_allclose(answer.probabilities.sum(), 1, atol=1e-5)
        right += int(answer.probabilities.argmax() == digit)
    assert right >= 9


def test_it_prints_the_class_and_shows_what_it_saw(command, digits_run: Path, tmp_path: Path) -> None:
    picture = save(draw(3), tmp_path / "three.png")
    first, second = command("predict", digits_run, picture), command("predict", digits_run, picture)
    assert first.code == 0
    assert "three.png: this is a 3 (probability " in first.out
    for number in range(10):
        assert f"{number} " in first.out.splitlines()[1]
    for outcome, name in ((first, "predict-three.png"), (second, "predict-three-2.png")):
        assert f"what the network saw: {digits_run / name}" in outcome.out
        with Image.open(digits_run / name) as shown:
            assert shown.size[0] > 1000
        (digits_run / name).unlink()
    output = tmp_path / "seen.png"
    assert command("predict", digits_run, picture, "--output", output).code == 0
    assert output.exists()


def test_the_picture_must_be_one(command, digits_run: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no picture")
    save(Image.new("L", (40, 40), 255), tmp_path / "blank.png")
    for name, message in (
        ("notes.png", "not a picture that can be read; save it as PNG or JPEG"),
        ("none.png", "no such picture; give the path of a PNG or JPEG file"),
        ("blank.png", "the picture is blank"),
    ):
        outcome = command("predict", digits_run, tmp_path / name)
        assert outcome.code == 1
        assert f"{tmp_path / name}: {message}" in outcome.err
        assert outcome.err.count("\n") == 1


@pytest.fixture
def copy(digits_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(digits_run, tmp_path / "copy"))


def _rewrite(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | changes))


@pytest.mark.parametrize(
    ("spoil", "code", "message"),
    [
        (lambda run: shutil.rmtree(run), 2, "no run folder"),
        (
            lambda run: _rewrite(run, experiment="lunar_lander"),
            2,
            "a run of 'lunar_lander', which is no experiment",
        ),
        (
            lambda run: _rewrite(run, experiment="mnist_mlp"),
            1,
            "not those of the model in config.json; they differ in",
        ),
        (lambda run: _rewrite(run, config={"wings": 2}), 1, "not a configuration of digits"),
        (lambda run: (run / "config.json").write_text("{"), 1, "not a JSON file"),
        (lambda run: (run / "params.safetensors").unlink(), 1, "params.safetensors: no such file"),
        (lambda run: (run / "params.safetensors").write_bytes(b"x" * 99), 1, "not a whole safetensors file"),
    ],
    ids=["gone", "unknown", "other model", "other options", "no json", "no weights", "damaged weights"],
)
def test_the_run_must_be_one(command, copy: Path, tmp_path: Path, spoil, code: int, message: str) -> None:
    picture = save(draw(3), tmp_path / "three.png")
    spoil(copy)
    outcome = command("predict", copy, picture)
    assert outcome.code == code
    assert message in outcome.err
    assert str(copy) in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_folder_of_runs_names_some(command, digits_run: Path, tmp_path: Path) -> None:
    outcome = command("predict", digits_run.parent, save(draw(3), tmp_path / "x.png"))
    assert outcome.code == 2
    assert f"there are {digits_run}" in outcome.err
