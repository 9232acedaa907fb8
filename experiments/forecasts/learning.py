"""What learns to forecast from windows: recurrent networks, many at once, and a linear autoregression."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments.forecasts.windows import Windows
from experiments.runner.schedule import half_cosine
from jaxnn import losses, optim, train

KINDS: dict[str, Callable[..., nn.Layer]] = {"LSTM": nn.lstm, "GRU": nn.gru}


def build(kind: str, units: int, dropout: float) -> nn.Layer:
    """``[batch, window, features] -> [batch, 1]``: read the window, then foretell the change."""
    return nn.chain(KINDS[kind](units, return_sequences=False), nn.dropout(dropout), nn.dense(1))


def make_train(
    model: nn.Layer, windows: Windows, epochs: int, batch_size: int, learning_rate: float
) -> Callable[[Any, Any], dict[str, Any]]:
    """Build ``train(key, weights) -> {"changes": [n], "loss": [epochs]}``, a pure function.

    ``weights`` ``[n]`` says which windows are learned from; the changes are foretold for all of them.
    """
    inputs, targets = jnp.asarray(windows.inputs), jnp.asarray(windows.targets)[:, None]
    size = min(batch_size, len(inputs))
    objective = train.supervised(model, losses.squared_error)
    rule = optim.adam(half_cosine(learning_rate, epochs * -(-len(inputs) // size)))
    epoch = train.make_epoch(objective, rule, size)

    def run(key: Any, weights: Any) -> dict[str, Any]:
        data = inputs, targets, weights
        state = train.TrainState.create(objective, rule, key, data)

        def one(state: train.TrainState, _: None) -> tuple[train.TrainState, Any]:
            state, record = epoch(state, data)
            return state, record["loss"].compute()

        state, history = jax.lax.scan(one, state, length=epochs)
        return {"changes": model.apply(state.params, state.state, inputs)[0][:, 0], "loss": history}

    return run


def autoregression(windows: Windows, learned: np.ndarray) -> np.ndarray:
    """Changes ``[n]`` by least squares on the same windows; of the season, the step's own alone is used."""
    rows = np.concatenate([windows.inputs[:, :, 0], windows.inputs[:, -1, 1:]], axis=1, dtype=np.float64)
    rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    weights, *_ = np.linalg.lstsq(rows[learned], windows.targets[learned].astype(np.float64), rcond=None)
    return rows @ weights
