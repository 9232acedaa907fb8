"""Word vectors: vocabulary, blocks, questions, descent, what vectors know, files that gensim reads."""

import io
import warnings
import zipfile
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.data.brown import untagged
from experiments.data.wordsim import load_wordsim
from experiments.words import glove, learning, probes
from experiments.words.blocks import NOTHING, Block, Stream, take, thin
from experiments.words.forms import CBOW, SKIP_GRAM
from experiments.words.huffman import huffman
from experiments.words.inputs import subwords, unknown_word, whole_words
from experiments.words.knowledge import analogies, nearest, rank_correlation, relatedness
from experiments.words.questions import hierarchical_softmax, negative_sampling
from experiments.words.vocabulary import Text, Vocabulary
from experiments.words.word2vec_format import load_word2vec, save_word2vec

SEA, LAND = ("ship", "wave", "sail", "tide"), ("field", "horse", "road", "barn")


def toy_text(sentences: int = 300) -> tuple[Vocabulary, list[list[str]]]:
    """Sentences about either the sea or the land, with words of both."""
    rng = np.random.default_rng(0)
    topics = [SEA, LAND]
    made = [[str(word) for word in rng.choice([*topics[i % 2], "the", "of"], 8)] for i in range(sentences)]
    return Vocabulary.of(made, 1), made


def toy_block(ids: list[int], window: int = 2, length: int = 6) -> Block:
    padded = [NOTHING] * window + ids + [NOTHING] * (length + window - len(ids))
    sentences = [NOTHING] * window + [0] * len(ids) + [NOTHING] * (length + window - len(ids))
    stream = Stream(jnp.array(padded, jnp.int32), jnp.array(sentences, jnp.int32), jnp.int32(len(ids)))
    return take(stream, jnp.zeros(1, jnp.int32), jnp.full((1, length), window), length, window)


def gensim_model(sentences: list[list[str]], **options):
    word2vec = pytest.importorskip("gensim.models.word2vec")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = word2vec.Word2Vec(min_count=1, workers=1, vector_size=4, **options)
        model.build_vocab(sentences)
    return model


def test_wordsim_comes_with_the_experiments() -> None:
    pairs = load_wordsim()
    assert len(pairs) == 353
    assert pairs[0] == ("love", "sex", 6.77)
    assert all(0 <= judged <= 10 for _, _, judged in pairs)


def test_tags_are_cut_off() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("brown/ca02", "\n\tSecond/jj 1//2/cd ./.\n")
        archive.writestr("brown/ca01", "\tThe/at jury/nn said/vbd ./.\n\n\n")
        archive.writestr("brown/README", "no part of the text")
    assert untagged(content.getvalue()) == b"The jury said .\nSecond 1//2 .\n"


def pairs_of(block: Block) -> list[tuple[int, int]]:
    """The pairs of the first block: a context word, and the centre's place."""
    found = zip(*np.nonzero(np.asarray(block.near[0])), strict=True)
    return sorted((int(block.context[0, place]), int(centre)) for place, centre in found)


def test_four_words_make_six_pairs() -> None:
    """Skip-gram with window 1, "Recurrent, convolutional and embedding networks"."""
    ids = [4, 0, 2, 1]
    found = pairs_of(toy_block(ids, window=1))
    assert sorted((word, ids[centre]) for word, centre in found) == [
        (0, 2),
        (0, 4),
        (1, 2),
        (2, 0),
        (2, 1),
        (4, 0),
    ]


def test_sentences_and_reach_end_a_context() -> None:
    stream = Stream(jnp.arange(12, dtype=jnp.int32), jnp.array([0] * 6 + [1] * 6), jnp.int32(8))
    block = take(stream, jnp.zeros(1, jnp.int32), jnp.array([[1, 2, 2, 1]]), 4, 2)
    expected = {0: (1, 3), 1: (1, 2, 4, 5), 2: (2, 3, 5), 3: (4,)}
    assert pairs_of(block) == sorted((word, centre) for centre, words in expected.items() for word in words)


def test_thinning_closes_gaps_and_keeps_the_order() -> None:
    text = Text(np.arange(100, dtype=np.int32) % 10, np.zeros(100, np.int32))
    everything = thin(jax.random.key(0), text, np.ones(100, np.float32), 2, 5)
    assert int(everything.tokens) == 100
    assert everything.ids.tolist() == [NOTHING] * 2 + text.ids.tolist() + [NOTHING] * 5
    odd = thin(jax.random.key(0), text, (text.ids % 2).astype(np.float32), 2, 5)
    assert int(odd.tokens) == 50
    assert odd.ids[2:52].tolist() == [1, 3, 5, 7, 9] * 10
    assert (odd.ids[52:] == NOTHING).all()


@pytest.mark.parametrize("sample", [1e-3, 1e-1])
def test_words_are_thinned_out_as_in_gensim(sample: float) -> None:
    vocabulary, sentences = toy_text()
    model = gensim_model(sentences, sample=sample)
    theirs = [model.wv.get_vecattr(word, "sample_int") / (2**32 - 1) for word in vocabulary.words]
    assert vocabulary.keep_probabilities(sample) == pytest.approx(np.minimum(theirs, 1), rel=1e-5)


def test_huffman_has_gensims_lengths_and_no_shorter_tree_exists() -> None:
    counts = np.array([40, 30, 12, 8, 5, 3, 1, 1])
    tree = huffman(counts)
    lengths = (tree.forks >= 0).sum(1)
    model = gensim_model(
        [[f"w{i}"] for i, count in enumerate(counts) for _ in range(count)], hs=1, negative=0
    )
    theirs = [len(model.wv.get_vecattr(f"w{i}", "code")) for i in range(len(counts))]
    assert (counts * lengths).sum() == (counts * theirs).sum()
    share = counts / counts.sum()
    assert 0 <= share @ lengths + share @ np.log2(share) < 1
    assert sorted(set(tree.forks[tree.forks >= 0].tolist())) == list(range(7))


def test_probabilities_down_the_tree_sum_to_one() -> None:
    vocabulary, _ = toy_text()
    rng = np.random.default_rng(0)
    rows, vector = rng.normal(size=(len(vocabulary) - 1, 5)), rng.normal(size=5)
    tree = huffman(vocabulary.counts)
    yes = 1 / (1 + np.exp(-(rows @ vector)))
    each = np.where(tree.right, yes[tree.forks], 1 - yes[tree.forks])
    assert np.where(tree.forks >= 0, each, 1).prod(1).sum() == pytest.approx(1)


def test_shared_negatives_are_the_usual_ones_in_the_mean() -> None:
    vocabulary, _ = toy_text()
    output = negative_sampling(vocabulary, negatives=5, drawn=8)
    block = toy_block([0, 3, 1, 2, 0, 4])

    @jax.jit
    def weights(key):
        asked = output.ask(key, block, block.near)
        return jnp.zeros(len(vocabulary)).at[asked.rows[0, 6:]].add(asked.weights[0, 0:, 6:].sum(0))

    found = np.mean([weights(key) for key in jax.random.split(jax.random.key(0), 400)], axis=0)
    powers = vocabulary.counts**0.75 / (vocabulary.counts**0.75).sum()
    pairs = np.asarray(block.near[0]).sum(0)
    differs = np.array([[word != centre for word in range(len(vocabulary))] for centre in block.centres[0]])
    assert found == pytest.approx(5 * powers * (pairs @ differs), rel=0.15)


def model_of(form, output, vocabulary: Vocabulary, inputs=whole_words) -> learning.Model:
    return learning.Model(form, inputs(vocabulary), output(vocabulary))


def filled(model: learning.Model) -> learning.Tables:
    rng = np.random.default_rng(0)
    shapes = (model.inputs.rows, 5), (model.output.rows, 5)
    return learning.Tables(*(jnp.asarray(rng.normal(size=shape).astype(np.float32)) for shape in shapes))


OUTPUTS = [partial(negative_sampling, drawn=4), hierarchical_softmax]


@pytest.mark.parametrize("output", OUTPUTS, ids=["negative", "tree"])
def test_a_skip_gram_step_is_descent(output) -> None:
    vocabulary, _ = toy_text()
    model = model_of(SKIP_GRAM, output, vocabulary)
    tables, block, key = filled(model), toy_block([0, 3, 1, 2, 0]), jax.random.key(1)
    moved = learning.step(model, tables, block, key, 0.1)
    gradient = jax.grad(lambda t: learning.loss(model, t, block, key) * block.near.sum())(tables)
    for new, old, slope in zip(moved, tables, gradient, strict=True):
        assert np.abs(slope).max() > 0.1
        np.testing.assert_allclose(new - old, -0.1 * slope, atol=2e-6)


@pytest.mark.parametrize("output", OUTPUTS, ids=["negative", "tree"])
def test_a_cbow_step_gives_each_context_word_the_whole_change(output) -> None:
    vocabulary, _ = toy_text()
    model = model_of(CBOW, output, vocabulary)
    block = toy_block([5, 3, 1, 2, 0])
    only = block._replace(
        near=jnp.where(jnp.arange(6)[None, None] == 2, block.near, 0)
    )  # one centre with four words around it
    tables, key = filled(model), jax.random.key(1)
    moved = learning.step(model, tables, only, key, 0.1)
    # The loss is a mean over one question, and gradients of the mean of four vectors are a quarter each.
    gradient = jax.grad(lambda t: learning.loss(model, t, only, key))(tables)
    np.testing.assert_allclose(moved.outputs - tables.outputs, -0.1 * gradient.outputs, atol=1e-6)
    np.testing.assert_allclose(moved.inputs - tables.inputs, -0.4 * gradient.inputs, atol=1e-6)


@pytest.mark.parametrize("form", [SKIP_GRAM, CBOW], ids=["skip-gram", "cbow"])
@pytest.mark.parametrize("output", OUTPUTS, ids=["negative", "tree"])
def test_padding_changes_no_loss_and_no_table(form, output) -> None:
    vocabulary, _ = toy_text()
    model = model_of(form, output, vocabulary)
    tables, key, ids = filled(model), jax.random.key(1), [0, 3, 1]
    block = toy_block(ids)
    outside = np.asarray(block.context) == NOTHING
    other = block._replace(context=jnp.where(outside, 7, block.context))
    assert learning.loss(model, tables, block, key) == learning.loss(model, tables, other, key)
    # The same words with less room behind them: the loss of a text depends on no padding.
    short = toy_block(ids, length=4)
    if output is hierarchical_softmax:
        first, second = (float(learning.loss(model, tables, one, key)) for one in (block, short))
        assert first == pytest.approx(second, rel=1e-6)
    nothing = learning.step(model, tables, toy_block([]), key, 0.1)
    for new, old in zip(nothing, tables, strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.fixture(scope="module")
def trained() -> dict[str, np.ndarray]:
    """Vectors of the toy text, by each kind of training; and again from the same seed."""
    vocabulary, sentences = toy_text()
    text, keep = vocabulary.encode(sentences), vocabulary.keep_probabilities(0)
    settings = learning.Settings(8, 2, 4, rate=0.1, length=4, blocks=2)
    found = {}
    for name, form, output in (
        ("skip-gram", SKIP_GRAM, negative_sampling),
        ("cbow", CBOW, hierarchical_softmax),
    ):
        model = model_of(form, output, vocabulary)
        train = learning.make_train(text, keep, model, settings)
        (tables, losses), (again, _) = train(jax.random.key(3)), train(jax.random.key(3))
        np.testing.assert_array_equal(tables.inputs, again.inputs)
        assert np.isfinite(losses).all()
        found[name] = np.asarray(model.inputs.vectors(tables.inputs, np.arange(len(vocabulary))))
    counts = glove.count_together(text, len(vocabulary), 2)
    train = glove.make_train(counts, len(vocabulary), glove.Settings(8, 2, 40, most=100.0, batch=8))
    tables, costs = train(jax.random.key(0))
    assert costs[-1] < 0.1 * costs[0]
    found["glove"] = glove.word_vectors(tables)
    return found


@pytest.mark.parametrize("name", ["skip-gram", "cbow"])
def test_words_of_one_topic_come_together(trained, name: str) -> None:
    vocabulary, _ = toy_text()
    for topic in (SEA, LAND):
        for word in topic:
            assert set(nearest(vocabulary, trained[name], word, 3)) == set(topic) - {word}


def test_steps_that_would_overshoot_are_refused() -> None:
    vocabulary, sentences = toy_text()
    model = model_of(SKIP_GRAM, negative_sampling, vocabulary)
    with pytest.raises(ValueError, match=r"the most frequent word [0-9]+ times"):
        learning.make_train(
            vocabulary.encode(sentences), vocabulary.keep_probabilities(0), model, learning.Settings()
        )


def test_a_word_of_pieces_is_the_mean_of_its_rows() -> None:
    vocabulary = Vocabulary.of([["sailing", "sailor", "sailor", "boat"]], 1)
    inputs = subwords(vocabulary, 3, 4)
    assert set(inputs.pieces) == {"<sa", "sai", "ail", "<sai", "sail"}
    table = jnp.asarray(np.random.default_rng(0).normal(size=(inputs.rows, 3)).astype(np.float32))
    boat, sailor = (vocabulary.index[word] for word in ("boat", "sailor"))
    np.testing.assert_allclose(inputs.vectors(table, jnp.array([boat]))[0], table[boat])
    rows = [sailor, *inputs.pieces.values()]
    np.testing.assert_allclose(
        inputs.vectors(table, jnp.array([sailor]))[0], table[jnp.array(rows)].mean(0), rtol=1e-6
    )
    moved = inputs.update(table, jnp.array([sailor, -1]), jnp.ones((2, 3)))
    changed = np.flatnonzero(np.abs(moved - table).sum(1))
    assert changed.tolist() == sorted(rows)
    own = unknown_word(inputs, table, "sail")
    np.testing.assert_allclose(own, table[jnp.array(list(inputs.pieces.values()))].mean(0), rtol=1e-6)
    with pytest.raises(ValueError, match="no piece of 'xyz'"):
        unknown_word(inputs, table, "xyz")


def test_pairs_are_counted_by_distance() -> None:
    text = Text(np.array([0, 1, 0, 2], np.int32), np.array([0, 0, 0, 1], np.int32))
    counts = glove.count_together(text, 3, 2)
    found = {(int(r), int(c)): float(v) for r, c, v in zip(*counts, strict=True)}
    assert found == {(0, 1): 2.0, (1, 0): 2.0, (0, 0): 1.0}


def test_a_pair_that_never_occurs_costs_nothing() -> None:
    rng = np.random.default_rng(0)
    tables = glove.Tables(*(jnp.asarray(rng.normal(size=(4, 6)).astype(np.float32)) for _ in range(2)))
    costs = glove.cost(tables, jnp.array([0, 1]), jnp.array([2, 3]), jnp.array([0.0, 10.0]), 10.0)
    score = (tables.words[1, :2] * tables.contexts[3, :2]).sum() + tables.words[1, 2] + tables.contexts[3, 2]
    assert costs.tolist() == pytest.approx([0, float((score - np.log(10)) ** 2)], rel=1e-5)


def test_rank_correlation_is_spearmans() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 10, 50), rng.normal(size=50)
    assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b)[0])


def test_analogies_and_relatedness_of_vectors_made_for_them() -> None:
    words = ("man", "woman", "king", "queen", "stone")
    vocabulary = Vocabulary(words, np.array([5, 4, 3, 2, 1]))
    vectors = np.array([[1.0, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1], [-1, 0.2, 0]])
    quartets = [
        ("man", "woman", "king", "queen"),
        ("man", "king", "woman", "queen"),
        ("man", "unknown", "king", "a"),
    ]
    assert analogies(vocabulary, vectors, quartets) == (2, 2)
    assert analogies(vocabulary, vectors, [("man", "woman", "king", "stone")]) == (0, 1)
    pairs = [("man", "woman", 6.0), ("king", "queen", 8.0), ("man", "stone", 0.0), ("man", "none", 5.0)]
    correlation, count = relatedness(vocabulary, vectors, pairs)
    assert (correlation, count) == (pytest.approx(1), 3)


def test_probes_are_distinct() -> None:
    words = [word for group in probes.GROUPS.values() for word in group]
    assert len(words) == len(set(words))
    assert all(len(set(quartet)) == 4 for quartets in probes.ANALOGIES.values() for quartet in quartets)


def test_files_are_read_by_gensim_with_the_same_bits(tmp_path) -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    words = ["sea", "``", "naïve"]
    save_word2vec(tmp_path / "vectors.txt", words, vectors)
    found, numbers = load_word2vec(tmp_path / "vectors.txt")
    assert found == words
    np.testing.assert_array_equal(numbers, vectors)
    keyed = pytest.importorskip("gensim.models.keyedvectors").KeyedVectors
    theirs = keyed.load_word2vec_format(str(tmp_path / "vectors.txt"))
    assert theirs.index_to_key == words
    np.testing.assert_array_equal(theirs.vectors, vectors)


def test_files_that_break_the_format_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="'two words' is no single word"):
        save_word2vec(tmp_path / "vectors.txt", ["two words"], np.zeros((1, 2)))
    with pytest.raises(ValueError, match="1 words but 2 vectors"):
        save_word2vec(tmp_path / "vectors.txt", ["one"], np.zeros((2, 2)))
    (tmp_path / "short.txt").write_text("2 2\nsea 1 2\n")
    with pytest.raises(ValueError, match="promises 2 words, there are 1"):
        load_word2vec(tmp_path / "short.txt")
    (tmp_path / "narrow.txt").write_text("1 2\nsea 1\n")
    with pytest.raises(ValueError, match=r"narrow\.txt:2: expected a word and 2 numbers, got 1"):
        load_word2vec(tmp_path / "narrow.txt")
