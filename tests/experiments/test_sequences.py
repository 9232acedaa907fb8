"""Sequences: cells counted, streams of text, the five kinds of task, and numbers in words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from experiments import character_model, sequence_tasks
from experiments.characters import words
from experiments.characters.reading import reader
from experiments.characters.streams import streams
from experiments.data.tiny_shakespeare import Characters, decode, encode
from experiments.sequences import numbers, tasks
from experiments.sequences.models import decoder
from experiments.sequences.symbols import Symbols, padded, written
from jaxnn import losses, train

TEXT = "so shaken as we are, so wan with care, find we a time for frighted peace to pant. " * 4


@pytest.mark.parametrize(("inputs", "hidden"), [(28, 128), (3, 5)])
def test_parameters_of_the_cells(inputs: int, hidden: int) -> None:
    found = {name: counted for name, _, _, counted in sequence_tasks.cell_sizes(inputs, hidden)}
    one = (inputs + hidden) * hidden + hidden
    assert found == {
        "simple RNN": one,
        "LSTM": 4 * one,
        "GRU, original": 3 * one,
        "GRU, reset after": 3 * one + hidden,
    }


def test_a_scan_is_the_unrolled_loop() -> None:
    assert float(jax.jit(sequence_tasks.unrolling_difference)(jax.random.key(2))) < 1e-6


# Characters.


def test_a_text_is_cut_nine_to_one() -> None:
    text = Characters.of(TEXT)
    assert len(text.training) == int(0.9 * len(TEXT))
    assert decode(text.alphabet, np.concatenate([text.training, text.validation])) == TEXT
    with pytest.raises(ValueError, match="can't be cut in two"):
        Characters.of("short")
    with pytest.raises(ValueError, match="alphabet lacks '!z'"):
        encode("abc", "a!z")


@pytest.mark.parametrize(("count", "rows", "length"), [(50, 4, 5), (41, 4, 5), (23, 3, 10), (5, 4, 2)])
def test_streams_have_each_target_once_and_follow_each_other(count: int, rows: int, length: int) -> None:
    ids = np.arange(count, dtype=np.int32)
    inputs, targets = streams(ids, rows, length)
    assert inputs.shape[1:] == (rows, length) == targets.value.shape[1:]
    assert sorted(targets.value[targets.mask]) == list(range(1, count))
    np.testing.assert_array_equal(inputs[targets.mask] + 1, targets.value[targets.mask])
    for row in range(rows):
        read = inputs[:, row][targets.mask[:, row]]
        np.testing.assert_array_equal(read, read[:1].repeat(len(read)) + np.arange(len(read)))
    with pytest.raises(ValueError, match="too few for rows = 9"):
        streams(ids[:5], 9, 2)


def test_each_row_of_a_step_goes_on_with_the_row_of_the_step_before() -> None:
    rows, length = 3, 5
    ids, rng = np.arange(100, dtype=np.int32), np.random.default_rng(0)
    begins = set()
    for _ in range(4):
        inputs, targets = character_model.epoch_data(ids, rng, rows, length)
        steps = inputs.reshape(-1, rows, length)
        np.testing.assert_array_equal(steps[1:-1], steps[:-2] + length)
        begins.add(int(steps[0, 0, 0]))
        assert targets.mask.sum() == len(ids) - length - 1
    assert len(begins) > 1  # pieces are cut elsewhere in every epoch


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_what_the_padding_of_streams_holds_changes_no_loss(kind) -> None:
    model = reader(kind, 11, 8, 1, 0.0, 4)
    inputs, targets = streams(np.arange(60, dtype=np.int32) % 11, 4, 8)
    assert not targets.mask.all()
    params, _ = model.model.init(jax.random.key(1), inputs[0])
    other = (
        np.where(targets.mask, inputs, 7),
        nn.Masked(np.where(targets.mask, targets.value, 3), targets.mask),
    )
    score = jax.jit(model.mean_loss)
    assert float(score(params, (inputs, targets))) == float(score(params, other))


def test_a_stream_in_pieces_is_the_whole_stream() -> None:
    model = reader("gru", 11, 8, 2, 0.3, 4)
    ids = np.random.default_rng(0).integers(0, 11, 97).astype(np.int32)
    params, _ = model.model.init(jax.random.key(1), ids[None, :3])
    logits, _ = model.model.apply(params, {}, ids[None, :-1])
    whole = jnp.mean(losses.cross_entropy(logits, ids[None, 1:]))
    assert float(model.mean_loss(params, streams(ids, 1, 8))) == pytest.approx(float(whole), rel=1e-5)


def test_streams_are_begun_anew_in_training_only() -> None:
    model = reader("lstm", 11, 8, 1, 0.0, 4)
    ids = np.random.default_rng(0).integers(0, 11, (3, 6)).astype(np.int32)
    batch = ids, nn.Masked(ids, np.ones(ids.shape, bool))
    always, never = model.objective(forget=1.0), model.objective()
    params, fresh = always.init(jax.random.key(1), batch)
    memory, _ = model.read(params, fresh, ids)
    told = {
        (name, train): always_or_never.evaluate(params, memory, batch, key=jax.random.key(2), train=train)[0]
        for name, always_or_never in (("always", always), ("never", never))
        for train in (True, False)
    }
    begun, _ = never.evaluate(params, fresh, batch)
    np.testing.assert_allclose(told["always", True].values, begun.values, rtol=1e-5)
    for other in (("always", False), ("never", True), ("never", False)):
        assert np.abs(told[other].values - begun.values).max() > 1e-3


def test_training_and_writing_repeat_from_one_seed() -> None:
    config = character_model.Config(
        model="gru", features=6, epochs=2, rows=4, length=8, written=20, ema=0.9, seed=5, prompt=" "
    )
    text = Characters.of(TEXT)
    run, write = character_model.make_train(config), character_model.make_writer(config, text.alphabet)

    def once() -> tuple[list[float], str]:
        params, records = run(jax.random.key(config.seed), text, lambda record, params: None)
        return [record["val_loss"] for record in records], write(params)

    first = once()
    assert first == once()
    assert len(first[0]) == 2
    assert len(first[1]) == 20
    assert set(first[1]) <= set(text.alphabet)


def test_a_prompt_outside_of_the_alphabet_is_named() -> None:
    with pytest.raises(ValueError, match="prompt: the alphabet lacks 'é'"):
        character_model.make_writer(character_model.Config(features=4, prompt="Né"), "Nab")


def test_shares_of_words_and_the_loss_of_knowing_frequencies() -> None:
    assert words.known_share("The King, the xqz!", "the king") == pytest.approx(3 / 4)
    assert words.known_share("12", "the king") == 0
    alike = Characters("ab", np.array([0, 1, 0, 1]), np.array([0, 1, 1]))
    assert words.unigram_loss(alike) == pytest.approx(np.log(2))


# The five kinds of task.


def test_numbers_in_words() -> None:
    every = {tuple(numbers.in_words(value)) for value in range(10_000)}
    assert len(every) == 10_000
    assert max(map(len, every)) == numbers.LONGEST
    assert " ".join(numbers.in_words(9_120)) == "nine thousand one hundred and twenty"
    with pytest.raises(ValueError, match="from 0 to 9,999, got 10000"):
        numbers.in_words(10_000)


def test_words_run_together_and_where_they_end() -> None:
    letters, ends = tasks.run_together("to be or")
    assert letters == "tobeor"
    assert ends.tolist() == [0, 1, 0, 1, 0, 1]


def test_decoders_read_what_they_wrote() -> None:
    symbols = Symbols(("a", "b"))
    previous, targets = written([symbols.ids("ab"), symbols.ids("b")])
    assert previous.tolist() == [[0, 2, 3], [0, 3, 0]]
    assert targets.value.tolist() == [[2, 3, 1], [3, 1, 0]]
    assert targets.mask.tolist() == [[True] * 3, [True, True, False]]


def test_a_training_and_a_test_of_numbers_share_none() -> None:
    task = tasks.encoder_decoder(300, 100, 4)
    rows = [
        {tuple(row[real]) for row, real in zip(source.value, source.mask, strict=True)}
        for source in (task.data[0][1], task.test[0][1])
    ]
    assert [len(found) for found in rows] == [300, 100]
    assert not rows[0] & rows[1]


def test_what_the_padding_of_numbers_holds_changes_no_loss() -> None:
    task = tasks.encoder_decoder(12, 4, 4)
    objective = train.supervised(task.model, losses.cross_entropy)
    (previous, source), targets = task.data
    params, _ = objective.init(jax.random.key(0), task.data)
    other = (
        (np.where(targets.mask, previous, 5), padded_with(source, 3)),
        padded_with(targets, 9),
    )

    @jax.jit
    def loss(data):
        terms, _ = objective.evaluate(params, {}, data)
        return jnp.sum(terms.values * terms.weights) / jnp.sum(terms.weights)

    assert not source.mask.all()
    assert not targets.mask.all()
    assert float(loss(task.data)) == float(loss(other))


def padded_with(x: nn.Masked, filler: int) -> nn.Masked:
    return nn.Masked(np.where(x.mask, x.value, filler), x.mask)


def test_a_decoder_that_writes_is_the_one_that_was_trained() -> None:
    encoder = nn.chain(nn.dense(5), jnp.tanh)
    model, cell = decoder(encoder, 7, 5)
    source = jax.random.normal(jax.random.key(0), (2, 3))
    previous = jnp.array([[0, 3, 2, 6], [0, 5, 4, 1]])
    params, _ = model.init(jax.random.key(1), (previous, source))
    carry = cell.init_carry(params, (previous[:, 0], source))
    steps = []
    for token in previous.T:
        carry, logits = cell.step(params, carry, token)
        steps.append(logits)
    whole, _ = model.apply(params, {}, (previous, source))
    np.testing.assert_allclose(np.stack(steps, axis=1), whole, rtol=1e-5, atol=1e-6)
    assert np.abs(whole[0, 0] - whole[1, 0]).max() > 1e-3  # both begin alike: the source makes the difference


def test_the_smallest_layers_can_be_asked_for() -> None:
    task = tasks.aligned("to be or not to be that is the question " * 4, 2, 1, 10, 1)
    params, _ = task.model.init(jax.random.key(0), task.data[0])
    assert task.answer(params, task.test[0]).shape == (1, 10)


def test_whole_sequences_count_as_right_to_their_end_only() -> None:
    task = tasks.encoder_decoder(12, 4, 4)
    targets = padded([[5, 6, 1], [5, 1]])
    assert task.score(np.array([[5, 6, 1], [5, 1, 8]]), targets) == 1
    assert task.score(np.array([[5, 6, 6], [5, 1, 8]]), targets) == 0.5
    assert task.score(np.array([[5, 6, 1], [5, 5, 1]]), targets) == 0.5


@pytest.mark.parametrize("place", [0, 1])
def test_examples_are_drawn_at_the_steps_where_they_are_read_and_written(place: int) -> None:
    made = sequence_tasks.make_tasks(sequence_tasks.Config(quick=True, features=4))[place]
    drawn = sequence_tasks.drawn(made)
    assert len(drawn.inputs) == len(drawn.outputs)
    reads, writes = ([part for part in side if part] for side in (drawn.inputs, drawn.outputs))
    assert (reads, writes) == tuple(list(part) for part in made.example)
    if place:  # all is read before anything is written
        assert not any(drawn.outputs[: len(reads)])
        assert not any(drawn.inputs[len(reads) :])
