"""A long-distance dependency: which symbol came first, many steps ago?"""

from collections.abc import Callable
from typing import Any

import jax
import optax

import jaxnn as nn
from jaxnn import losses, metrics, optim, train

SYMBOLS = 4
CELLS: dict[str, Callable[[int], nn.Cell]] = {
    "simple RNN": nn.simple_rnn_cell,
    "LSTM": nn.lstm_cell,
    "LSTM, forget bias 4": lambda features: nn.lstm_cell(features, forget_bias=4.0),
}


def make_train(
    kind: str, distance: int, features: int, steps: int, batch_size: int
) -> Callable[[Any, None], Any]:
    """Build ``train(key, None) -> accuracy by step [steps]``, each on sequences never seen before.

    A sequence is a symbol, then ``distance`` others drawn at random, then the question which the first was.
    """
    model = nn.chain(
        nn.embedding(SYMBOLS, features), nn.rnn(CELLS[kind](features), return_sequences=False),
        nn.dense(SYMBOLS),
    )  # fmt: skip
    objective = train.supervised(model, losses.cross_entropy, metrics=(metrics.accuracy,))
    rule = optax.chain(optax.clip_by_global_norm(1.0), optim.adam(5e-3))
    step = train.make_step(objective, rule)

    def batch(key: Any) -> tuple[Any, Any]:
        symbols = jax.random.randint(key, (batch_size, 1 + distance), 0, SYMBOLS)
        return symbols, symbols[:, 0]

    def run(key: Any, hyper: None = None) -> Any:
        del hyper
        start, drawn = jax.random.split(key)
        state = train.TrainState.create(objective, rule, start, jax.eval_shape(batch, drawn))

        def one(state: train.TrainState, key: Any) -> tuple[train.TrainState, Any]:
            state, record = step(state, batch(key))
            return state, record["accuracy"].compute()

        return jax.lax.scan(one, state, jax.random.split(drawn, steps))[1]

    return run
