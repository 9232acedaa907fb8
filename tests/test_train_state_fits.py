"""fit goes on only from a state of its own model and optimizer, and says before the first step what does not fit."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxnn as nn
from jaxnn import losses, optim, train

KEY = jax.random.key(0)
DATA = jnp.ones((8, 4)), jnp.ones((8, 1))


def task(hidden: int, body: Any = nn.batch_norm) -> train.Objective:
    return train.supervised(nn.chain(nn.dense(hidden), body(), nn.dense(1)), losses.squared_error)


def run(objective: Any, rule: Any, **options: Any) -> train.Result:
    return train.fit(objective, rule, DATA, epochs=1, batch_size=8, key=KEY, progress=False, **options)


def begun(objective: Any = None, rule: Any = None, **options: Any) -> train.TrainState:
    return train.TrainState.create(objective or task(3), rule or optim.adam(1e-3), KEY, DATA, **options)


MISTAKES = {
    "another width": (
        lambda: begun(task(2)),
        r"the objective expects params\['batch_norm_0'\]\['bias'\] \[3\] in train_state, got float32\[2\]",
    ),
    "another model": (
        lambda: begun(task(3, nn.layer_norm)),
        r"the objective expects params\['batch_norm_0'\]\['bias'\] \[3\] in train_state, got none",
    ),
    "another rule": (lambda: begun(rule=optim.sgd(0.1)), r"the optimizer expects opt_state.*got none"),
    "a rule of more": (lambda: begun(rule=optim.amsgrad(0.1)), r"the optimizer expects .*opt_state"),
    "another rule's moments": (
        lambda: begun()._replace(opt_state=begun(task(2)).opt_state),
        r"the optimizer expects opt_state.*\['batch_norm_0'\]\['bias'\] \[3\] in train_state, got float32\[2\]",
    ),
    "running statistics": (
        lambda: begun()._replace(state={"batch_norm_0": {"mean": jnp.ones(3), "var": jnp.ones(1)}}),
        r"the objective expects state\['batch_norm_0'\]\['var'\] \[3\] in train_state, got float32\[1\]",
    ),
    "no running statistics": (
        lambda: begun()._replace(state={}),
        r"the objective expects state\['batch_norm_0'\].*got none",
    ),
    "text": (
        lambda: begun()._replace(params={**begun().params, "dense_1": {"kernel": "k", "bias": "b"}}),
        r"the objective expects params\['dense_1'\]\['bias'\] as an array in train_state, got str",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_state_of_another_run(name: str) -> None:
    make, pattern = MISTAKES[name]
    with pytest.raises((ValueError, TypeError), match=f"^fit: {pattern}"):
        run(task(3), optim.adam(1e-3), train_state=make())


def test_an_average_of_another_shape() -> None:
    state = begun(ema=True)._replace(ema=begun(task(2), ema=True).ema)
    with pytest.raises(ValueError, match=r"expects ema\['batch_norm_0'\]\['bias'\] \[3\].*got float32\[2\]"):
        run(task(3), optim.adam(1e-3), ema=0.9, train_state=state)


def test_its_own_state_in_another_precision_goes_on() -> None:
    state = begun()
    halved = state._replace(params=jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), state.params))
    halved = halved._replace(opt_state=optim.adam(1e-3).init(halved.params))
    assert run(task(3), optim.adam(1e-3), train_state=halved).train_state.step == 1


def test_a_part_of_a_model_goes_on() -> None:
    params, _ = task(3).init(KEY, DATA)
    part = train.partition(params, "dense_1.*").objective(task(3))
    first = run(part, optim.adam(1e-3))
    assert run(part, optim.adam(1e-3), train_state=first.train_state).train_state.step == 2


@pytest.mark.parametrize(
    "change",
    [
        {"step": jnp.zeros(2, jnp.int32)},
        {"step": jnp.zeros((), jnp.float32)},
        {"key": jax.random.split(jax.random.key(0), 2)},
    ],
    ids=["two steps", "half a step", "two keys"],
)
def test_a_state_has_one_step_and_one_key(change) -> None:
    objective, rule = task(3), optim.adam(1e-3)
    state = begun(objective, rule)._replace(**change)
    with pytest.raises(ValueError, match=r"fit: expected one (integer as step|key) in train_state, got "):
        run(objective, rule, train_state=state)


def test_a_child_may_be_called_as_a_field_of_a_rule() -> None:
    names = ("loss_scale", "mu", "count", "trace", "skipped")
    model = nn.chain(**{name: nn.dense(1) for name in names})
    assert run(train.supervised(model, losses.squared_error), optim.adam(1e-3)).stopped is None
