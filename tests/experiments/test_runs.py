"""What a run leaves behind: after success, Ctrl-C, and a loss that is not finite."""

import json
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from experiments.data import load_digits
from experiments.data.pictures import Pictures
from experiments.runner import numpy_network
from experiments.runner.run_folder import RunFolder
from jaxnn.core import known_faults
from jaxnn.interop import load_safetensors

FILES = {
    "config.json", "metrics.jsonl", "result.json", "params.safetensors", "report.md",
    "curves.png", "confusion.png", "mistakes.png", "filters.png",
}  # fmt: skip


def test_the_folder_holds_everything(digits_run: Path) -> None:
    assert {path.name for path in digits_run.iterdir()} == FILES
    config = json.loads((digits_run / "config.json").read_text(encoding="utf-8"))
    assert config["experiment"] == "digits"
    assert config["config"]["epochs"] == 30
    assert {"python", "jaxnn", "jax", "jaxlib", "optax", "numpy"} == set(config["versions"])
    assert config["device"]["platform"] == "cpu"
    assert config["prng"] == "threefry2x32"
    assert "xla_flags" in config
    assert config["known_faults"] == [fault.name for fault in known_faults()]


def test_metrics_have_one_object_an_epoch(digits_run: Path) -> None:
    lines = (digits_run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["epoch"] for record in records] == list(range(1, 31))
    for record in records:
        assert {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"} <= set(record)


def test_digits_reaches_its_accuracy_and_numpy_agrees(digits_run: Path) -> None:
    reported = json.loads((digits_run / "result.json").read_text(encoding="utf-8"))
    data = load_digits()
    assert reported["stopped"] is None
    assert reported["test_accuracy"] >= 0.97
    params = load_safetensors(digits_run / "params.safetensors")
    assert set(params) == {"conv_0", "conv_1", "dense_0", "dense_1"}
    found = numpy_network.accuracy("digits", params, data.x_test, data.y_test)
    assert abs(found - reported["test_accuracy"]) * len(data.x_test) < 1.5


def test_the_report_shows_its_pictures(digits_run: Path) -> None:
    text = (digits_run / "report.md").read_text(encoding="utf-8")
    for name in FILES:
        if name.endswith(".png"):
            assert f"({name})" in text
            assert (digits_run / name).read_bytes().startswith(b"\x89PNG")
    assert "`python -m experiments digits`" in text
    assert text.count("\n| 30 |") == 1


def test_one_seed_gives_identical_bits(command, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert command("digits", "--quick", "--seed", 3, "--runs", tmp_path, "--name", name).code == 0
    a, b = ((tmp_path / "digits" / name / "params.safetensors").read_bytes() for name in "ab")
    assert a == b


def test_default_names_are_new_and_the_output_says_where(command, tmp_path: Path) -> None:
    for _ in range(2):
        outcome = command("digits", "--quick", "--runs", tmp_path)
        assert outcome.code == 0
        assert "test accuracy" in outcome.out
        assert f"run folder: {tmp_path / 'digits'}" in outcome.out
    assert len(list((tmp_path / "digits").iterdir())) == 2
    config = RunFolder(next((tmp_path / "digits").iterdir())).read_json("config.json")["config"]
    assert (config["quick"], config["epochs"]) == (True, 1)


def test_ctrl_c_keeps_history_and_weights(command, tmp_path: Path) -> None:
    folder = tmp_path / "digits" / "stopped"

    ended = threading.Event()

    def press() -> None:
        while not (folder / "metrics.jsonl").exists():
            if ended.wait(0.01):
                return
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        outcome = command("digits", "--epochs", 100_000, "--runs", tmp_path, "--name", "stopped")
    finally:
        ended.set()
        thread.join()
    assert outcome.code == 130
    assert f"stopped (interrupted); the history so far and the last weights are in {folder}" in outcome.err
    records = RunFolder(folder).read_metrics()
    assert [record["epoch"] for record in records] == list(range(1, len(records) + 1))
    params, _ = RunFolder(folder).load_weights()
    assert np.isfinite(params["dense_1"]["kernel"]).all()
    assert RunFolder(folder).read_json("result.json")["stopped"] == "interrupted"
    assert "Stopped: interrupted" in (folder / "report.md").read_text(encoding="utf-8")


def test_a_loss_that_is_not_finite_ends_the_run_with_code_one(command, tmp_path: Path) -> None:
    outcome = command("digits", "--quick", "--learning-rate", "1e30", "--runs", tmp_path, "--name", "far")
    assert outcome.code == 1
    assert "stopped (non-finite loss: nan in epoch 1 by step" in outcome.err
    assert "try a smaller learning rate" in outcome.err
    folder = tmp_path / "digits" / "far"
    assert {"config.json", "metrics.jsonl", "params.safetensors", "report.md"} <= {
        p.name for p in folder.iterdir()
    }
    assert json.loads((folder / "metrics.jsonl").read_text(encoding="utf-8"))["loss"] is None


def test_state_is_saved_where_there_is_some(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create({"config": {}})
    params = {"dense_0": {"kernel": np.ones((2, 2))}}
    state = {"batch_norm_0": {"mean": np.zeros(2)}}
    folder.save_weights(params, state)
    back_params, back_state = folder.load_weights()
    np.testing.assert_array_equal(back_params["dense_0"]["kernel"], 1)
    np.testing.assert_array_equal(back_state["batch_norm_0"]["mean"], 0)
    with pytest.raises(FileExistsError):
        folder.create({})


def test_labels_out_of_range_are_found_on_the_host() -> None:
    x, y = np.zeros((4, 8, 8), np.float32), np.array([0, 9, 10, -1], np.int32)
    message = r"training labels: expected integers in \[0, 10\), got 10 at index 2 \(2 such\)"
    with pytest.raises(ValueError, match=message):
        Pictures(x, y, x[:1], y[:1], classes=10)
    with pytest.raises(ValueError, match="test data: 4 pictures but 2 labels"):
        Pictures(x[:2], y[:2], x, y[:2], classes=10)


def test_the_digits_split_is_fixed_and_even() -> None:
    data = load_digits()
    assert (len(data.x), len(data.x_test)) == (1442, 355)
    assert np.bincount(data.y_test).min() >= 34
    assert data.x.dtype == np.float32
    assert (data.x.min(), data.x.max()) == (0.0, 1.0)


def test_metrics_may_be_arrays(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append_metrics({"epoch": 1, "confusion": np.array([[1.0, np.nan]]), "loss": np.float32(2)})
    assert folder.read_metrics() == [{"epoch": 1, "confusion": [[1.0, None]], "loss": 2.0}]
