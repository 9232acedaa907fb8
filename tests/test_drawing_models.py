"""Models that draw random numbers in evaluation too: every function that runs one gives it its key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training import KEY, RULE, N, X, Y, same_bits

import jaxnn as nn
from jaxnn import losses, metrics, optim, train
from jaxnn.core import MissingKeyError


@nn.model(hidden=nn.dense(4), out=nn.dense(2))
def noisy(m, x):
    hidden = m.hidden(x)
    return m.out(hidden + 0.5 * jax.random.normal(m.key("z"), hidden.shape))


def _drawn(params, x, key):
    return x + jax.random.normal(key, x.shape)


MODELS = {
    "key of the scope": noisy,
    "in a chain": nn.chain(nn.dense(3), jnp.tanh, noisy),
    "twice": nn.chain(nn.repeat(nn.residual(nn.chain(nn.stateless("noise", None, _drawn))), 2), nn.dense(2)),
}
TASK = train.supervised(noisy, losses.cross_entropy, metrics=(metrics.accuracy,))


def own(key_missing: Exception | None) -> train.Objective:
    """An objective that draws from its key itself, and without one fails in its own way."""

    def init(key, batch):
        return nn.dense(2).init(key, batch[0])

    def evaluate(params, state, batch, *, key=None, train=False):
        if key is None and key_missing is not None:
            raise key_missing
        x = batch[0] + jax.random.normal(key, batch[0].shape)
        logits, state = nn.dense(2).apply(params, state, x, train=train)
        return terms(losses.cross_entropy(logits, batch[1])), state

    terms = train.Terms
    return train.Objective(init, evaluate)


TASKS = {name: train.supervised(model, losses.cross_entropy) for name, model in MODELS.items()}
TASKS |= {"own": own(None), "own, checked": own(RuntimeError("no key"))}
BATCHES = [(X[i : i + 20], Y[i : i + 20]) for i in range(0, N, 20)]


@pytest.mark.parametrize(
    ("name", "validation"),
    [
        ("key of the scope", "none"),
        ("in a chain", "split"),
        ("twice", "batches"),
        ("own", "arrays"),
        ("own, checked", "none"),
    ],
)
def test_fit_gives_evaluation_the_key_that_the_model_needs(name: str, validation: str) -> None:
    task = TASKS[name]
    given = {"none": {}, "arrays": {"validation": (X, Y)}, "batches": {"validation": BATCHES}}
    options = given.get(validation, {"validation_split": 0.2})
    data = BATCHES if validation == "batches" else (X, Y)
    result = train.fit(task, RULE, data, epochs=2, batch_size=10, key=KEY, progress=False, **options)
    assert len(result.history.records) == 2
    assert result.stopped is None
    if validation == "none":
        return
    part = {"arrays": (X, Y), "batches": BATCHES}.get(validation, (X[40:], Y[40:]))
    scores = train.evaluate(task, result.params, result.state, part, key=result.train_state.key)
    assert scores["loss"] == result.history.last["val_loss"]


def test_validation_draws_the_same_numbers_in_every_epoch() -> None:
    result = train.fit(
        TASK, optim.sgd(0.0), (X, Y), epochs=3, batch_size=10, key=KEY, validation=(X, Y), progress=False
    )
    assert len(set(result.history["val_loss"])) == 1
    other = train.fit(
        TASK, optim.sgd(0.0), (X, Y), epochs=1, batch_size=10, key=jax.random.key(1), progress=False
    )
    key = other.train_state.key
    assert train.evaluate(TASK, result.params, result.state, (X, Y), key=key)["loss"] != pytest.approx(
        result.history["val_loss"][0], rel=1e-6
    )


def test_batches_and_examples_of_evaluation_draw_different_numbers() -> None:
    same = np.broadcast_to(X[:1], X.shape)
    params, state = noisy.init(KEY, X)
    outputs = np.asarray(train.predict(noisy, params, state, same, batch_size=10, key=KEY))
    assert len(np.unique(outputs, axis=0)) == N
    assert same_bits(outputs, train.predict(noisy, params, state, same, batch_size=10, key=KEY))
    first, _ = noisy.apply(params, state, same[10:20], key=jax.random.fold_in(KEY, 1))
    np.testing.assert_allclose(outputs[10:20], first, rtol=1e-5)
    whole = train.evaluate(TASK, params, state, (X, Y), batch_size=20, key=KEY)
    assert whole == pytest.approx(train.evaluate(TASK, params, state, BATCHES, key=KEY), rel=1e-6)


def test_a_model_that_can_do_without_a_key_gets_none_in_evaluation() -> None:
    seen = []

    def evaluate(params, state, batch, *, key=None, train=False):
        seen.append((train, key is None))
        logits, state = nn.dense(2).apply(params, state, batch[0])
        return terms(losses.cross_entropy(logits, batch[1])), state

    terms = train.Terms
    task = train.Objective(lambda key, batch: nn.dense(2).init(key, batch[0]), evaluate)
    train.fit(task, RULE, (X, Y), epochs=1, batch_size=10, key=KEY, validation=(X, Y), progress=False)
    assert set(seen) == {(True, False), (False, True)}


def test_without_a_key_the_message_says_so_and_a_wrong_one_is_refused() -> None:
    params, state = noisy.init(KEY, X)
    with pytest.raises(MissingKeyError, match="needs a random key"):
        train.evaluate(TASK, params, state, (X, Y))
    with pytest.raises(MissingKeyError, match="needs a random key"):
        train.predict(noisy, params, state, X)
    with pytest.raises(TypeError, match="evaluate: key must be a typed random key, got int 0"):
        train.evaluate(TASK, params, state, (X, Y), key=0)
    with pytest.raises(TypeError, match="predict: key must be a typed random key, got int 0"):
        train.predict(noisy, params, state, X, key=0)
    with pytest.raises(ValueError, match=r"expected input \[\.\.\., 4\]"):
        train.fit(TASK, RULE, (X, Y), epochs=1, key=KEY, validation=(X[:, :3], Y), progress=False)
