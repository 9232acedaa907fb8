"""The published networks: parameter counts, steps an epoch, and the same function in plain NumPy."""

import itertools
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.runner import catalogue, numpy_network, results
from experiments.runner.classifier import Classifier
from experiments.runner.run_folder import RunFolder

SPEC = {name: (8, 8) if name == "digits" else (28, 28) for name in numpy_network.NETWORKS}
LAYERS = {
    "mnist_mlp": [401920, 262656, 5130],
    "mnist_deep_tanh": [1962500, 5002000, 3001500, 1501000, 500500, 5010],
    "mnist_cnn": [320, 18496, 1179776, 1290],
    "mnist_sgd": [100480, 16512, 1290],
    "mnist_cnn_adam": [1280, 147584, 1003530],
}


def _classifier(name: str) -> Classifier:
    experiment = catalogue.experiment(name)
    assert isinstance(experiment, Classifier)
    return experiment


def _model(name: str):
    experiment = _classifier(name)
    return experiment.build(experiment.config())


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("mnist_mlp", 669_706), ("mnist_deep_tanh", 11_972_510), ("mnist_cnn", 1_199_882),
        ("mnist_sgd", 118_282), ("mnist_cnn_adam", 1_152_394),
    ],
)  # fmt: skip
def test_parameter_counts(name: str, total: int) -> None:
    spec = jax.ShapeDtypeStruct((1, *SPEC[name]), jnp.float32)
    params, state = jax.eval_shape(lambda key: _model(name).init(key, spec), jax.random.key(0))
    counts = [sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(layer)) for layer in params.values()]
    assert sorted(counts) == sorted(LAYERS[name])
    assert sum(counts) == total
    assert state == {}


@pytest.mark.parametrize("name", ["digits", "mnist_mlp", "mnist_cnn", "mnist_cnn_adam", "mnist_augmented"])
def test_numpy_computes_the_same_logits(name: str) -> None:
    model = _model(name)
    x = np.random.default_rng(0).random((3, *SPEC[name]), np.float32)
    params, state = model.init(jax.random.key(1), jax.ShapeDtypeStruct(x.shape, x.dtype))
    state = jax.tree.map(lambda leaf: leaf + jnp.linspace(0.1, 0.2, leaf.size), state)  # neither 0 nor 1
    expected, _ = model.apply(params, state, jnp.asarray(x))
    weights = numpy_network.merged(*jax.tree.map(np.asarray, (params, state)))
    found = numpy_network.NETWORKS[name](weights, x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_numpy_computes_the_deep_tanh_network() -> None:
    widths = (6, 5, 4, 3)
    rng = np.random.default_rng(0)
    params = {
        f"dense_{i}": {"kernel": rng.normal(size=(a, b)), "bias": rng.normal(size=b)}
        for i, (a, b) in enumerate(itertools.pairwise(widths))
    }
    x = rng.normal(size=(2, 2, 3))
    by_hand = x.reshape(2, 6)
    for name in ("dense_0", "dense_1"):
        by_hand = np.tanh(by_hand @ params[name]["kernel"] + params[name]["bias"])
    by_hand = by_hand @ params["dense_2"]["kernel"] + params["dense_2"]["bias"]
    np.testing.assert_allclose(numpy_network.NETWORKS["mnist_deep_tanh"](params, x), by_hand)


@pytest.mark.parametrize(("examples", "batch", "steps"), [(60_000, 128, 469), (4_000, 32, 125)])
def test_steps_an_epoch(examples: int, batch: int, steps: int) -> None:
    import jaxnn as nn
    from jaxnn import losses, optim, train

    task = train.supervised(nn.dense(1), losses.squared_error)
    data = jnp.zeros((examples, 1)), jnp.zeros((examples, 1))
    result = train.fit(
        task, optim.sgd(0.1), data, epochs=1, batch_size=batch, key=jax.random.key(0), progress=False
    )
    assert int(result.train_state.step) == steps


def test_mnist_has_its_own_split(mnist_folder: str) -> None:
    from experiments.data import load_mnist

    data = load_mnist()
    assert (data.x.shape, data.x_test.shape) == ((60_000, 28, 28), (10_000, 28, 28))
    assert (data.x.dtype, data.y.dtype) == (np.float32, np.int32)
    assert (data.x.min(), data.x.max()) == (0, 1)
    assert data.y[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(data.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_mnist_mlp_quick_run(command, mnist_folder: str, tmp_path: Path) -> None:
    outcome = command("mnist_mlp", "--quick", "--dropout", 0, "--runs", tmp_path, "--name", "quick")
    assert outcome.code == 0
    assert "669,706" in outcome.out
    assert {"report.md", "params.safetensors"} <= {
        path.name for path in (tmp_path / "mnist_mlp/quick").iterdir()
    }
    result = RunFolder(tmp_path / "mnist_mlp" / "quick").read_json("result.json")
    assert result["test_accuracy"] > 0.5


def test_results_trains_what_is_missing_once(command, tmp_path: Path) -> None:
    words = (
        "results",
        "--seeds",
        1,
        "--only",
        "digits",
        "--runs",
        tmp_path / "runs",
        "--output",
        tmp_path / "r.md",
    )
    first, second = command(*words), command(*words)
    assert (first.code, second.code) == (0, 0)
    assert "== digits, seed 0" in first.out
    assert "== digits" not in second.out
    assert [path.name for path in (tmp_path / "runs/digits").iterdir()] == ["results-digits-seed0"]
    table = (tmp_path / "r.md").read_text(encoding="utf-8")
    row = next(line for line in table.splitlines() if line.startswith("| digits"))
    result = RunFolder(tmp_path / "runs/digits/results-digits-seed0").read_json("result.json")
    assert f"**{result['test_accuracy']:.4f}**" in row
    assert table.count("not trained") == len(results.ROWS) - 1
    # Weights that do not give the reported accuracy are found out.
    result["test_accuracy"] -= 0.05
    RunFolder(tmp_path / "runs/digits/results-digits-seed0").write_result(result)
    third = command(*words)
    assert third.code == 1
    assert "NumPy gets" in third.err


def test_a_report_tells_the_errors_of_the_course() -> None:
    """Back-propagation; From calculus to convolutional networks; Recurrent, ... networks: what is in "
    "error."""
    from experiments.runner.page import corrections_section

    for name in ("mnist_mlp", "mnist_cnn", "mnist_cnn_adam", "fashion_mnist"):
        heading, table = corrections_section(_classifier(name).corrections)
        assert heading.startswith("## ")
        assert table.count("\n") == 2
    assert corrections_section(_classifier("digits").corrections) == []
