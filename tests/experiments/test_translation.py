"""Translation: subwords, buckets, teacher forcing against steps, search, BLEU, and the command."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn as nn
from experiments import translation
from experiments.translator import batches, search
from experiments.translator.subwords import BEGIN, END, PAD, UNKNOWN, Subwords, padded

pytest.importorskip("sentencepiece")
pytest.importorskip("sacrebleu")

NOUNS = ("Hund", "Mann", "Ball", "Kind", "Baum", "Haus")
SENTENCES = [f"Ein {a} sieht {b} und {c}." for a in NOUNS for b in NOUNS for c in NOUNS]
CONFIG = translation.Config(features=16, blocks=1, heads=2, pieces=300, dropout=0.1, beams=3, epochs=2)


@pytest.fixture(scope="module")
def subwords() -> Subwords:
    return Subwords.learn(SENTENCES, 320)


@functools.cache
def model_and_params(name: str, size: int):
    model, cell = translation.build(CONFIG, name, size, size)
    spec = jax.ShapeDtypeStruct((1, 3), jnp.int32)
    mask = jax.ShapeDtypeStruct((1, 3), jnp.bool_)
    params, _ = model.init(jax.random.key(0), (spec, nn.Masked(spec, mask)))
    # Far from the initial weights, whose logits nearly tie.
    params = jax.tree.map(lambda leaf: 3 * leaf, params)
    return model, cell, params


def translator(name: str, subwords: Subwords) -> search.Translator:
    _, cell, params = model_and_params(name, subwords.size)
    return search.Translator(cell, params, subwords, subwords, (6, 12))


def test_subwords_spell_what_they_were_given(subwords: Subwords, tmp_path: Path) -> None:
    subwords.save(tmp_path / "source.model")
    again = Subwords.load(tmp_path / "source.model")
    for sentence in ("Ein Hund sieht Haus und Ball.", "Xylophonzwölfß 漢字"):
        ids = again.encode(sentence)
        assert again.decode([BEGIN, *ids, END]) == sentence
        assert not {PAD, UNKNOWN, BEGIN, END} & set(ids)
    assert again.encode("") == again.encode("  ") == []
    assert len(again.pieces(again.encode("Ein Hund"))) < len("Ein Hund")


def test_buckets_hold_every_pair_once_in_few_shapes() -> None:
    rng = np.random.default_rng(0)
    sources, targets = ([[4 + i] * int(rng.integers(1, 20)) for i in range(100)] for _ in range(2))
    buckets = batches.make_buckets(sources, targets, (6, 10, 15), positions=60)
    kept = [i for i in range(100) if max(len(sources[i]), len(targets[i])) < 15]
    assert sorted(int(row[0]) - 4 for b in buckets for row in b.source) == kept
    for bucket in buckets:
        for row, other in zip(bucket.source, bucket.target, strict=True):
            i = int(row[0]) - 4
            assert row[row != PAD].tolist() == [*sources[i], END]
            assert other[other != PAD].tolist() == [BEGIN, *targets[i], END]
    shapes = set()
    for (inputs, source), outputs in batches.epoch(buckets, rng):
        shapes.add((inputs.shape, source.value.shape))
        assert np.array_equal(inputs[:, 1:][outputs.mask[:, 1:]], outputs.value[:, :-1][outputs.mask[:, 1:]])
        assert inputs.size <= 60
    assert len(shapes) == len(buckets) == 3
    assert batches.steps_of(buckets) == sum(len(b.source) // b.batch_size for b in buckets)
    counted = sum(int(outputs.mask.sum()) for b in buckets for _, outputs in b.all())
    assert counted == sum(len(targets[i]) + 1 for i in kept)


@pytest.mark.parametrize("name", translation.MODELS)
def test_steps_foretell_what_the_whole_model_does(name: str, subwords: Subwords) -> None:
    model, cell_of, params = model_and_params(name, subwords.size)
    source = padded([[5, 6, 7, END], [8, END]], 6)
    target = padded([[BEGIN, 9, 10, 11], [BEGIN, 12, 13, 14]], 4)
    memory = nn.Masked(source, source != PAD)
    cell = cell_of(19)
    whole = jax.jit(model.apply)(params, {}, (target, memory))[0]
    carry = cell.init_carry(params, (target[:, 0], memory))
    step = jax.jit(cell.step)
    for time in range(4):
        carry, logits = step(params, carry, target[:, time])
        assert np.asarray(logits) == pytest.approx(np.asarray(whole[:, time]), abs=2e-4)


@pytest.mark.parametrize("name", translation.MODELS)
def test_padding_changes_nothing(name: str, subwords: Subwords) -> None:
    model, _, params = model_and_params(name, subwords.size)
    rows, target = [[5, 6, END]], padded([[BEGIN, 9, 10]], 3)
    apply = jax.jit(model.apply)
    short, long = (padded(rows, length) for length in (3, 7))
    plain, more = (apply(params, {}, (target, nn.Masked(s, s != PAD)))[0] for s in (short, long))
    assert np.asarray(more) == pytest.approx(np.asarray(plain), abs=1e-4)


@pytest.mark.parametrize("name", translation.MODELS)
def test_blank_unseen_and_long_sentences(name: str, subwords: Subwords) -> None:
    translate = translator(name, subwords)
    lines = ["Ein Hund sieht Ball.", "", "Quizjux 漢", " ".join(["Hund"] * 500), "   "]
    found = translate(lines)
    assert len(found) == 5
    assert found[1] == found[4] == ""
    assert translate(lines[:1]) == found[:1]


def test_search_with_more_beams_finds_no_less(subwords: Subwords) -> None:
    _, cell_of, params = model_and_params("attention", subwords.size)
    source = padded([[5, 6, 7, END], [8, END], [9, 10, END]], 6)
    memory = nn.Masked(source, source != PAD)
    begin = np.full((3, 1), BEGIN, np.int32)
    greedy, beams = (
        nn.generate(cell_of(8), params, begin, 8, memory=memory, end_token=END, beams=count).log_probability
        for count in (1, 4)
    )
    assert (np.asarray(beams) >= np.asarray(greedy) - 1e-4).all()


def test_parts_of_a_long_sentence() -> None:
    assert search.split([], 5) == []
    assert search.split([1, 2, 3], 5) == [[1, 2, 3]]
    parts = search.split(list(range(23)), 5)
    assert [piece for part in parts for piece in part] == list(range(23))
    assert max(map(len, parts)) <= 5
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_step_size_rises_and_falls() -> None:
    rate = translation.warmed(2.0, 100)
    found = [float(rate(step)) for step in (0, 9, 54, 99, 100)]
    assert found == pytest.approx([0.2, 2.0, 2.0 * 46 / 91, 2.0 / 91, 0.0])


def test_bleu_is_the_definition() -> None:
    from experiments.translator.bleu import bleu

    score, signature = bleu(["the cat sat on the mat"], ["the cat sat on a mat"])
    precisions = 5 / 6 * 3 / 5 * 2 / 4 * 1 / 3
    assert score == pytest.approx(100 * precisions**0.25)
    assert "version:" in signature
    assert bleu(SENTENCES, SENTENCES)[0] == pytest.approx(100)


@pytest.mark.parametrize("name", ["attention", "transformer"])
def test_training_learns_to_copy(name: str, subwords: Subwords) -> None:
    config = translation.Config(
        features=32, blocks=1, heads=2, dropout=0.0, epochs=6, positions=128, learning_rate=1e-2, ema=0.9
    )
    ids = [subwords.encode(sentence) for sentence in SENTENCES]
    longest = max(map(len, ids)) + 1
    buckets = batches.make_buckets(ids, ids, (longest,), config.positions)
    model, _ = translation.build(config, name, subwords.size, subwords.size)
    _, records = translation.make_train(config)(jax.random.key(0), model, buckets, buckets[:1])
    assert records[-1]["val_loss"] < 0.5 * records[0]["val_loss"]


def test_the_command_translates_a_run(command, tmp_path: Path) -> None:
    """A run of an untrained model, written as the experiment writes it."""
    folder = translation.RunFolder.reserve(tmp_path, "translation", "run")
    config = translation.effective(translation.Config(quick=True))
    words = Subwords.learn(SENTENCES, 320)
    folder.create({"experiment": "translation", "config": {"quick": True, "model": "plain"}})
    for side in ("source", "target"):
        words.save(folder.path / f"{side}.model")
    model, _ = translation.build(config, "plain", words.size, words.size)
    spec = jax.ShapeDtypeStruct((1, 3), jnp.int32)
    inputs = spec, nn.Masked(spec, jax.ShapeDtypeStruct((1, 3), jnp.bool_))
    folder.append_metrics({"model": "plain", "epoch": 1, "val_loss": 1.0})
    folder.save_weights({"plain": model.init(jax.random.key(0), inputs)[0]}, {})
    file = tmp_path / "german.txt"
    file.write_text("Ein Hund.\n\nEin Ball.\n", encoding="utf-8")
    outcome = command("translate", folder.path, "--file", file, "--reference", file)
    assert outcome.code == 0, outcome.err
    lines = outcome.out.removesuffix("\n").split("\n")
    assert len(lines) == 3
    assert lines[1] == ""
    assert "BLEU" in outcome.err
    assert "BLEU" not in outcome.out
    one = command("translate", folder.path, "Ein Ball.")
    assert one.out == lines[2] + "\n"
    for words_typed, text in (
        ((folder.path,), "expected sentences or a file"),
        ((folder.path, "Hund", "--model", "attention"), "has not trained"),
        ((tmp_path, "Hund"), "no run folder"),
        ((folder.path, "Hund", "--beams", "0"), "--beams"),
    ):
        outcome = command("translate", *words_typed)
        assert outcome.code in (1, 2)
        assert text in outcome.err
