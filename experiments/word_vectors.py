"""Word vectors from the Brown corpus: skip-gram, CBOW, GloVe and pieces of words, and what they know.

From a million words of text, and nothing else, each word gets 100 numbers, such that words used alike get
similar ones. Skip-gram asks from each word of the context for the word in the middle, the continuous bag of
words (CBOW) from their mean; either may ask by negative sampling or down Huffman's tree (hierarchical
softmax). A word may also be made of its pieces, as in fastText, and GloVe fits counts of the whole text.
Settings are gensim's. Judged are the vectors by WordSim-353: do cosines rank pairs of words as people do?

Run:     python -m experiments word_vectors
Expect:  rank correlation with people of about 0.25 for skip-gram and 0.11 for CBOW, gensim's or above
Time:    about 4 minutes on two cores
Course:  Recurrent, convolutional and embedding networks - word vectors
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from experiments.data.brown import load_brown
from experiments.data.wordsim import load_wordsim
from experiments.plots.word_map import word_map
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from experiments.words import glove, learning, probes
from experiments.words.forms import CBOW, SKIP_GRAM
from experiments.words.inputs import Inputs, subwords, unknown_word, whole_words
from experiments.words.knowledge import analogies, nearest, plane, relatedness
from experiments.words.questions import hierarchical_softmax, negative_sampling
from experiments.words.vocabulary import Text, Vocabulary
from experiments.words.word2vec_format import save_word2vec

COURSE = "Recurrent, convolutional and embedding networks"
MAIN = "skip-gram, negative sampling"
QUICK = (MAIN, "skip-gram of pieces")  # what a quick run trains
# Means, standard deviations and numbers of seeds of gensim 4.4.0 with these settings and two workers.
GENSIM = {MAIN: (0.2512, 0.0021, 5), "CBOW, negative sampling": (0.1107, 0.0117, 3)}


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """Vectors for the words of the Brown corpus."""

    seeds: int = 5
    """Trainings of skip-gram and CBOW with negative sampling, each from its own seed; the others have one."""
    features: int = 100
    """Numbers in a vector."""
    window: int = 5
    """The farthest that words of a context are away."""
    epochs: int = 5
    """Passes over the text."""
    negatives: int = 5
    """Wrong words for each right one."""
    min_count: int = 5
    """How often a word must occur to get a vector."""
    only: str = ""
    """Only the kinds of vectors whose name contains this, such as ``negative`` or ``GloVe``."""
    sample: float = 1e-3
    """Share of the text above which a word is thinned out; 0 keeps every occurrence."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("seeds", "features", "window", "epochs", "negatives", "min_count"):
            check_whole(name, getattr(self, name), least=1)


@dataclass(frozen=True)
class Task:
    """How one kind of vectors is trained.

    Attributes:
        train: ``key -> tables``.
        vectors: ``tables -> [words, features]``.
        seeds: how many trainings.
        tokens: that one training learns from; 0 where it learns from counts.
        inputs: what a word is made of, where it is made of pieces.
    """

    train: Callable[[Any], Any]
    vectors: Callable[[Any], np.ndarray]
    seeds: int
    tokens: float
    inputs: Inputs | None = None


def tasks(config: Config, vocabulary: Vocabulary, text: Text) -> dict[str, Callable[[], Task]]:
    """By name, what makes each task; making it compiles it."""
    keep = vocabulary.keep_probabilities(config.sample)
    words, negative = whole_words(vocabulary), negative_sampling(vocabulary, config.negatives)
    tree = hierarchical_softmax(vocabulary)
    settings = learning.Settings(config.features, config.window, config.epochs)
    # The forks near the root are asked for every word, so that a step has to be smaller.
    small = replace(settings, length=8, blocks=16)

    def predicted(model: learning.Model, settings: learning.Settings, seeds: int = 1) -> Callable[[], Task]:
        def make() -> Task:
            train = learning.make_train(text, keep, model, settings)
            every = np.arange(len(vocabulary))

            def vectors(tables: learning.Tables) -> np.ndarray:
                return np.asarray(model.inputs.vectors(tables.inputs, every))

            tokens = config.epochs * float(keep[text.ids].sum())
            return Task(lambda key: train(key)[0], vectors, seeds, tokens, model.inputs)

        return make

    def counted() -> Task:
        settings = glove.Settings(config.features, config.window)
        counts = glove.count_together(text, len(vocabulary), settings.window)
        train = glove.make_train(counts, len(vocabulary), settings)
        return Task(lambda key: train(key)[0], glove.word_vectors, 1, 0)

    pieces = subwords(vocabulary, 5, 5)
    return {
        MAIN: predicted(learning.Model(SKIP_GRAM, words, negative), settings, config.seeds),
        "CBOW, negative sampling": predicted(learning.Model(CBOW, words, negative), settings, config.seeds),
        "skip-gram, hierarchical softmax": predicted(learning.Model(SKIP_GRAM, words, tree), small),
        "CBOW, hierarchical softmax": predicted(learning.Model(CBOW, words, tree), small),
        "skip-gram of pieces": predicted(
            learning.Model(SKIP_GRAM, pieces, negative), replace(settings, blocks=8)
        ),
        "GloVe": counted,
    }


def effective(config: Config) -> Config:
    """The configuration as it is carried out: a quick run has small vectors and one pass."""
    return replace(config, seeds=2, features=16, epochs=1, min_count=3) if config.quick else config


def run(config: Config, page: Page) -> None:
    """Train every kind, judge it, and show what the vectors know."""
    config = effective(config)
    sentences = [[word.lower() for word in one] for one in load_brown()[: 3000 if config.quick else None]]
    vocabulary = Vocabulary.of(sentences, config.min_count)
    text = vocabulary.encode(sentences)
    rows, neighbours, keys = [], {}, jax.random.split(jax.random.key(config.seed), config.seeds)
    made = tasks(config, vocabulary, text)
    chosen = [name for name in made if config.only in name and (name in QUICK or not config.quick)]
    if not chosen:
        raise ValueError(f"only: no kind of vectors is called like {config.only!r}; there are {list(made)}")
    for name in chosen:
        task = made[name]()
        scores, vectors, seconds = [], np.empty(0), []
        for number, key in enumerate(keys[: task.seeds]):
            start = time.perf_counter()
            tables = jax.block_until_ready(task.train(key))
            seconds.append(time.perf_counter() - start)
            found = task.vectors(tables)
            vectors = found if number == 0 else vectors
            scores.append(relatedness(vocabulary, found, load_wordsim())[0])
            page.folder.append_metrics({"model": name, "seed": number, "wordsim": scores[-1]})
            if number == 0 and name == "skip-gram of pieces" and task.inputs:
                _unknown(page, vocabulary, found, task.inputs, tables)
        _compare(page, name, scores)
        rate = task.tokens / min(seconds) if task.tokens else ""
        rows.append(
            (name, len(scores), np.mean(scores), *_analogies(vocabulary, vectors), min(seconds), rate)
        )
        neighbours[name] = {
            word: ", ".join(nearest(vocabulary, vectors, word, 6))
            for word in probes.AROUND
            if word in vocabulary.index
        }
        if name == MAIN:
            _map(page, vocabulary, vectors)
            _save(page, vocabulary, vectors)
    _tables(page, rows, neighbours)
    page.correct(
        f"{COURSE}, word embeddings", "CBOW: Common Bag of Words",
        "CBOW: Continuous Bag of Words; the mean of vectors is continuous, a bag of counts is not",
    )  # fmt: skip


def _compare(page: Page, name: str, scores: list[float]) -> None:
    mean = float(np.mean(scores))
    spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
    if name not in GENSIM or spread is None:
        page.compare(f"WordSim-353 rank correlation, {name}", mean, spread=spread)
        return
    theirs, deviation, seeds = GENSIM[name]
    source = f"gensim 4.4.0, mean of {seeds} seeds"
    page.compare(f"WordSim-353 rank correlation, {name}", mean, theirs, spread=spread, source=source)
    error = math.hypot(spread / len(scores) ** 0.5, deviation / seeds**0.5)
    page.compare(f"its distance from gensim's in standard errors, {name}", (mean - theirs) / error, ">= -2")


def _analogies(vocabulary: Vocabulary, vectors: np.ndarray) -> tuple[str, ...]:
    counts = [analogies(vocabulary, vectors, quartets, 10) for quartets in probes.ANALOGIES.values()]
    return tuple(f"{right / asked:.0%}" if asked else "" for right, asked in counts)


def _tables(page: Page, rows: list[Any], neighbours: dict[str, dict[str, str]]) -> None:
    page.table(
        "Kinds of vectors, side by side",
        ("vectors", "seeds", "WordSim-353", *probes.ANALOGIES, "seconds", "words a second"),
        rows,
        "WordSim-353: Spearman's rank correlation of cosines with people's judgements. Analogies: *a* is "
        "to *b* as *c* is to what? The share of questions whose answer is among the ten words nearest to "
        "*b - a + c*. Seconds of the fastest training, without compilation; words are those left after "
        "thinning, all passes together. A million words are little text for this.",
    )
    words = list(next(iter(neighbours.values())))
    page.table(
        "Nearest words",
        ("word", *neighbours),
        [(word, *(found[word] for found in neighbours.values())) for word in words],
        "Of the first seed. What is near depends on what was asked: pieces bring words that are spelt alike.",
    )


def _map(page: Page, vocabulary: Vocabulary, vectors: np.ndarray) -> None:
    known = {
        name: [word for word in words if word in vocabulary.index] for name, words in probes.GROUPS.items()
    }
    known = {name: words for name, words in known.items() if words}
    words = [word for group in known.values() for word in group]
    places = plane(vocabulary, vectors, words)
    word_map(page.picture("map.png"), "Words by the company they keep", known, places)
    page.show(
        "A map of words",
        "The two directions of 100 in which these words differ most. The groups were never told; their words "
        "lie together because they stand in similar sentences. Most of the difference between groups is in "
        "the directions that a plane can't show.",
        "map.png",
    )


def _save(page: Page, vocabulary: Vocabulary, vectors: np.ndarray) -> None:
    save_word2vec(page.folder.path / "skip_gram.txt", vocabulary.words, vectors)
    page.show(
        "Take them elsewhere",
        "`skip_gram.txt` in this folder holds the vectors of the first seed in word2vec's text format; "
        '`gensim.models.KeyedVectors.load_word2vec_format("skip_gram.txt")` reads it.',
    )


def _unknown(page: Page, vocabulary: Vocabulary, vectors: np.ndarray, inputs: Inputs, tables: Any) -> None:
    rows = []
    for word in ("musically", "schoolteachers", "governmentally", "unfriendliness"):
        if word in vocabulary.index:
            continue
        try:
            own = unknown_word(inputs, tables.inputs, word)
        except ValueError:  # a small vocabulary may know none of its pieces
            continue
        extended = Vocabulary((*vocabulary.words, word), np.append(vocabulary.counts, 0))
        rows.append((word, ", ".join(nearest(extended, np.vstack([vectors, own[None]]), word, 5))))
    if rows:
        page.table(
            "Words that never occurred", ("word", "nearest words"), rows,
            "Made of pieces, a word gets a vector even if the vocabulary lacks it: the mean of its pieces'.",
        )  # fmt: skip


EXPERIMENT = Experiment("word_vectors", "Word vectors from a million words", Config, run)
