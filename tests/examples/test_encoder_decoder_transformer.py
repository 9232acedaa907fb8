"""The example of a transformer: it learns, and what it writes is what the whole model says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples.load import load

import jaxnn as nn


@pytest.fixture(scope="module")
def example():
    return load("encoder_decoder_transformer")


@pytest.mark.slow
def test_it_learns_in_a_few_steps(example) -> None:
    history, share = example.main(epochs=4, examples=640)
    losses = [record["loss"] for record in history.records]
    assert losses[-1] < 0.9 * losses[0]
    assert 0 <= share <= 1


@pytest.mark.slow
def test_it_learns_the_task(example) -> None:
    _, share = example.main()
    assert share > 0.9


def test_generation_agrees_with_the_whole_model(example) -> None:
    source, _ = example.words(np.random.default_rng(1), 3)
    cell = nn.decoding_cell(example.translator, 7)
    first = jnp.full((3, 1), example.BEGIN)
    params = cell.init(jax.random.key(4), (first[:, 0], source))
    found = nn.generate(cell, params, first, 7, memory=source)
    tokens = jnp.concatenate([first, found.tokens[:, :-1]], axis=1)
    logits, _ = example.translator.apply(params, {}, (tokens, source))
    np.testing.assert_array_equal(found.tokens, jnp.argmax(logits, axis=-1))
