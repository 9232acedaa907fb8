"""What is typed: the catalogue, help, and one line for every mistake."""

import ast
from pathlib import Path

import jax
import pytest

from experiments.runner import catalogue
from experiments.runner.main import in_short


def test_the_catalogue_names_every_experiment_and_what_it_does(command) -> None:
    outcome = command()
    assert outcome.code == 0
    for entry in catalogue.entries():
        assert entry.name in outcome.out
        assert entry.summary.split()[0] in outcome.out
        for course, chapter in entry.places:
            assert course in catalogue.COURSES
            assert chapter
    assert "predict" in outcome.out
    assert "results" in outcome.out


def test_every_experiment_file_says_how_to_run_it_and_what_to_expect() -> None:
    for name in catalogue.names():
        text = ast.get_docstring(ast.parse(Path(f"experiments/{name}.py").read_text(encoding="utf-8"))) or ""
        assert f"python -m experiments {name}" in text
        assert "\nExpect:" in text
        assert "\nTime:" in text
        assert catalogue.experiment(name).name == name


@pytest.mark.parametrize("name", [*catalogue.names(), *catalogue.COMMANDS])
def test_help(command, name: str) -> None:
    outcome = command(name, "--help")
    assert outcome.code == 0
    assert f"usage: python -m experiments {name}" in outcome.out
    assert "--debug" in outcome.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("digit", "no experiment 'digit'; did you mean 'digits'?"),
        ("mnist-mlp", "no experiment 'mnist-mlp'; did you mean 'mnist_mlp'?"),
        ("qqq", "no experiment 'qqq' (python -m experiments lists them)"),
        ("--epochs 3", "expected the name of an experiment before '--epochs'"),
        ("digits --epoch 3", "digits has no option '--epoch'; did you mean '--epochs'?"),
        ("digits --batchsize=3", "digits has no option '--batchsize'; did you mean '--batch-size'?"),
        ("digits --epochs", "digits: Missing value for argument '--epochs'"),
        ("digits --epochs three", "digits: --epochs: invalid literal for int() with base 10: 'three'"),
        ("digits --epochs 2.5", "digits: --epochs: invalid literal"),
        ("digits --epochs 0", "digits: epochs: expected a whole number of at least 1, got 0"),
        ("digits --seed -1", "digits: seed: expected a whole number of at least 0, got -1"),
        ("digits --batch-size 0", "digits: batch_size: expected a whole number of at least 1, got 0"),
        ("digits --learning-rate nan", "learning_rate: expected a positive finite number, got nan"),
        ("digits --learning-rate -0.1", "learning_rate: expected a positive finite number, got -0.1"),
        ("digits --learning_rate inf", "learning_rate: expected a positive finite number, got inf"),
        ("character_model --learning-rate -1", "learning_rate: expected a positive finite number, got -1.0"),
        ("iris --learning-rate nan", "learning_rate: expected a positive finite number, got nan"),
        ("stochastic_descent --rate 0", "rate: expected a positive finite number, got 0.0"),
        ("density_gan --discriminator-rate -1", "discriminator_rate: expected a positive finite number"),
        ("mnist_gan --discriminator-rate nan", "discriminator_rate: expected a positive finite number"),
        ("character_model --temperature inf", "temperature: expected a finite number of at least 0, got inf"),
        (
            "character_model --model transformer --features 12",
            "features: expected a multiple of 8 for the 4 heads of the transformer, got 12",
        ),
        ("translation --heads 3", "features: expected a multiple of heads = 3 for the transformer, got 256"),
        ("digits --dropout 1", "dropout: expected a probability in [0, 1), got 1.0"),
        ("digits --epochs 3 --epochs 4", "option '--epochs' is given twice; keep one"),
        ("digits more", "Unrecognized options: more"),
        ("digits --name a/b", "--name: expected letters, digits"),
        ("digits --name ..", "--name: expected letters, digits"),
        ("predict", "predict: expected RUN PICTURE"),
        ("predict nowhere x.png", "nowhere: no run folder (it has no config.json)"),
        ("results --seeds 0", "results: seeds: expected a whole number of at least 1, got 0"),
        ("results --only cnn", "--only: no row 'cnn'; did you mean 'mnist_cnn'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(command, words: str, message: str) -> None:
    outcome = command(*words.split())
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1


def test_an_error_inside_of_jax_is_told_without_a_word_on_its_frames() -> None:
    def fail(x):
        raise ValueError("too much of it")

    with pytest.raises(ValueError, match="too much of it") as caught:
        jax.jit(fail)(1.0)
    caught.value.add_note("in layer: dense_0")
    assert in_short(caught.value) == "too much of it in layer: dense_0"


def test_debug_raises(command) -> None:
    with pytest.raises(Exception, match="no experiment 'digit'"):
        command("digit", "--debug")


def test_a_batch_larger_than_the_data_makes_no_folder(command, tmp_path: Path) -> None:
    outcome = command("digits", "--batch-size", 5000, "--runs", tmp_path)
    assert (outcome.code, outcome.out) == (1, "")
    assert "batch_size: 5000 is more than the 1442 training examples; choose at most that many" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(command, digits_run: Path) -> None:
    before = {path: path.read_bytes() for path in digits_run.iterdir()}
    outcome = command("digits", "--runs", digits_run.parent.parent, "--name", "first")
    assert outcome.code == 2
    assert f"run folder {digits_run} exists; choose another --name" in outcome.err
    assert {path: path.read_bytes() for path in digits_run.iterdir()} == before


def test_a_runs_folder_that_cannot_be_made(command, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    outcome = command("digits", "--quick", "--runs", tmp_path / "runs")
    assert outcome.code == 1
    assert "Not a directory" in outcome.err or "File exists" in outcome.err
    assert outcome.err.count("\n") == 1


def test_offline_without_data(command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.data import mnist

    monkeypatch.setenv("JAXNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JAXNN_DATA", raising=False)
    monkeypatch.setattr(mnist, "MIRRORS", ("http://127.0.0.1:9/",))
    outcome = command("mnist_mlp", "--runs", tmp_path / "runs")
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    for part in (
        str(tmp_path / "cache/mnist/train-images-idx3-ubyte.gz"),
        "http://127.0.0.1:9/",
        "JAXNN_DATA",
    ):
        assert part in outcome.err
    assert not (tmp_path / "runs").exists()
