"""Names that are also names of our own: the right values, or a refusal when they are given."""

import keyword

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from jaxnn import interop, losses, metrics, optim, surgery, train

KEY = jax.random.key(0)
X = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
OURS = ["stepped", "cache", "params", "state", "weight", "mask", "loss", "epoch", "step", "value", "kernel"]
OURS += [
    "probe",
    "record",
    "spectral_norm",
    "class",
    "lambda",
    "self",
    "owner",
    "name",
    "init",
    "apply",
    "__x__",
]
NO_IDENTIFIERS = ["", "0", "a/b", "a.b", "a b", "<probe>", "<record>"]


def child() -> nn.Layer:
    return nn.chain(nn.dense(3), nn.batch_norm())


def composites(name: str) -> dict[str, nn.Layer]:
    made = {
        "chain": nn.chain(**{name: child()}),
        "named": nn.chain(child().named(name)),
        "branch": nn.branch(**{name: child()}),
        "repeat": nn.repeat(nn.chain(**{name: child()}), 1),
    }
    if not name.startswith("_"):
        made["model"] = nn.model(**{name: child()})(lambda m, x: getattr(m, name)(x))
    return made


@pytest.mark.parametrize("name", OURS)
def test_a_child_may_have_the_name_of_something_of_ours(name: str, tmp_path) -> None:
    assert name.isidentifier() or keyword.iskeyword(name)
    for kind, layer in composites(name).items():
        params, state = layer.init(KEY, X)
        y, new = layer.apply(params, state, X, train=True)
        own, own_state = params[name], state[name]
        if kind == "repeat":
            own, own_state = jax.tree.map(lambda leaf: leaf[0], (own, own_state))
        expected, changed = child().apply(own, own_state, X, train=True)
        np.testing.assert_allclose(jax.tree.leaves(y)[0], expected, rtol=1e-5, atol=1e-6)
        for a, b in zip(jax.tree.leaves(new), jax.tree.leaves(changed), strict=True):
            np.testing.assert_allclose(a.reshape(b.shape), b, rtol=1e-5)
        assert surgery.get(params, f"{name}.dense_0.bias").shape[-1] == 3
        interop.save_safetensors(tmp_path / "params.safetensors", params)
        back = interop.load_safetensors(tmp_path / "params.safetensors")
        assert jax.tree.structure(back) == jax.tree.structure(params)


@pytest.mark.parametrize("name", NO_IDENTIFIERS)
@pytest.mark.parametrize("compose", [nn.chain, nn.branch, nn.parallel, nn.model])
def test_a_child_needs_an_identifier(compose, name: str) -> None:
    with pytest.raises(ValueError, match="must be a Python identifier"):
        compose(**{name: child()})


@pytest.mark.parametrize("name", ["key", "train", "_owner", "__x__"])
def test_a_free_form_model_keeps_what_it_offers(name: str) -> None:
    with pytest.raises(ValueError, match="which m uses itself; rename it"):
        nn.model(**{name: child()})


def test_state_called_like_that_of_spectral_norm_is_refused() -> None:
    model = nn.spectral_norm(nn.chain(spectral_norm=child()))
    with pytest.raises(ValueError, match="or rename the child"):
        model.init(KEY, X)


def nothing(outputs, targets, weights):
    return metrics.Mean.of(jnp.zeros(outputs.shape[:1]), weights)


@pytest.mark.parametrize(
    "names",
    [["loss"], ["epoch"], ["seconds"], [""], ["val_loss"], ["recall", "val_recall"], ["skipped_steps"]],
)
def test_a_metric_called_like_an_entry_of_the_record_is_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="which records use themselves"):
        train.supervised(nn.dense(1), losses.squared_error, dict.fromkeys(names, nothing))


@pytest.mark.parametrize("name", ["val_loss", "val_score"])
def test_what_an_objective_reports_is_refused_likewise(name: str) -> None:
    def evaluate(params, state, batch, **options):
        loss = batch @ params["w"]
        return train.Terms(loss, None, {"score": metrics.Mean.of(loss), name: metrics.Mean.of(loss)}), state

    task = train.Objective(lambda key, batch: ({"w": jnp.ones(3)}, {}), evaluate)
    with pytest.raises(ValueError, match="which records use themselves"):
        train.evaluate(task, {"w": jnp.ones(3)}, {}, X)


@pytest.mark.parametrize(
    "name", ["stepped", "a/b", "a.b", "class", "val_seconds", "acc", "params", "0", "__x__"]
)
def test_other_metrics_keep_their_names(name: str) -> None:
    task = train.supervised(nn.dense(1), losses.squared_error, {name: nothing})
    data = X, X[:, :1]
    found = train.fit(
        task, optim.sgd(0.1), data, validation=data, batch_size=4, epochs=1, key=KEY, progress=False
    ).history
    assert found[name] == [0.0]
    assert found[f"val_{name}"] == [0.0]
    assert found["loss"] != [0.0]


@pytest.mark.parametrize("name", ["a.b", "", "__metadata__"])
def test_a_file_refuses_names_that_it_could_not_give_back(name: str, tmp_path) -> None:
    with pytest.raises(ValueError, match="below the root"):
        interop.save_safetensors(tmp_path / "tree.safetensors", {name: X, "a": {"b": X}})
