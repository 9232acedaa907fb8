"""Words as numbers: as unit vectors they are all equally far apart, as embeddings they are not.

"have a good day" and "have a great day" are almost the same, but as unit vectors (one-hot) *good* is as far
from *great* as from *day*. A network of 5-2-5 units learns better ones: it is shown a word and asked for its
neighbours, and since *good* and *great* have the same neighbours, they end at the same place. The first
layer only ever picks a row of its kernel: an embedding is a dense layer whose inputs are one-hot.

Run:     python -m experiments one_hot
Expect:  one-hot distances of sqrt(2); learned, *good* and *great* ten times as near as any other two words
Time:    about 5 s on two cores
Course:  Recurrent, convolutional and embedding networks - word vectors
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments.plots.matrices import matrices
from experiments.runner.config import ExperimentConfig, check_whole
from experiments.runner.experiment import Experiment
from experiments.runner.page import Page
from jaxnn import losses, optim, train

SENTENCES = ("have a good day", "have a great day")
WORDS = tuple(sorted({word for sentence in SENTENCES for word in sentence.split()}))
COURSE = "Recurrent, convolutional and embedding networks"


@dataclass(frozen=True)
class Config(ExperimentConfig):
    """A network of 5-2-5 units."""

    seeds: int = 10
    """Trainings side by side, each from its own seed."""
    steps: int = 3000
    """Steps of Adam, each over all pairs of words."""
    window: int = 1
    """How far apart two neighbours may be."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("seeds", "steps", "window"):
            check_whole(name, getattr(self, name), least=1)


def encode(sentence: str) -> list[int]:
    """The place of each word in the alphabetical vocabulary.

    Example:
        >>> encode("have a good day")
        [4, 0, 2, 1]
    """
    return [WORDS.index(word) for word in sentence.split()]


def neighbours(ids: list[int], window: int) -> list[tuple[int, int]]:
    """All pairs of a word and another at most ``window`` places away, as skip-gram takes them.

    Example:
        >>> neighbours([4, 0, 2, 1], 1)
        [(4, 0), (0, 4), (0, 2), (2, 0), (2, 1), (1, 2)]
    """
    places = range(len(ids))
    return [(ids[i], ids[j]) for i in places for j in places if i != j and abs(i - j) <= window]


def distances(vectors: np.ndarray) -> np.ndarray:
    """Euclidean distances ``[words, words]`` between rows."""
    return np.linalg.norm(vectors[:, None] - vectors[None, :], axis=-1)


def make_train(config: Config) -> Callable[..., dict[str, Any]]:
    """Build ``train(key, hyper=None)``; it returns the embeddings ``[5, 2]`` and the last ``loss`` (nats)."""
    pairs = np.array([pair for one in SENTENCES for pair in neighbours(encode(one), config.window)], np.int32)
    batch = jnp.asarray(pairs[:, 0]), jnp.asarray(pairs[:, 1])
    model = nn.chain(table=nn.embedding(len(WORDS), 2), out=nn.dense(len(WORDS)))
    task = train.supervised(model, losses.cross_entropy)
    # Decay pulls together what nothing holds apart.
    rule = optim.adamw(0.02, weight_decay=0.01)
    step = train.make_step(task, rule)

    def run(key: Any, hyper: None = None) -> dict[str, Any]:
        del hyper
        state = train.TrainState.create(task, rule, key, batch)

        def one(state: Any, _: None) -> tuple[Any, Any]:
            state, record = step(state, batch)
            return state, record["loss"].compute()

        state, told = jax.lax.scan(one, state, length=config.steps)
        return {"embeddings": state.params["table"]["embedding"], "loss": told[-1]}

    return run


def run(config: Config, page: Page) -> None:
    """Compare distances, and show what was learned."""
    config = replace(config, seeds=3, steps=200) if config.quick else config
    one_hot = np.eye(len(WORDS))
    apart = [distances(one_hot)[i, j] for i, j in combinations(range(len(WORDS)), 2)]
    page.compare("one-hot distance of two words, nearest", min(apart), 2**0.5, source=f"{COURSE}; derived")
    page.compare("one-hot distance of two words, farthest", max(apart), 2**0.5, source=f"{COURSE}; derived")
    pairs = neighbours(encode(SENTENCES[0]), 1)
    page.compare(
        "pairs that skip-gram takes from a sentence of four words, window 1", len(pairs), 6, source="derived"
    )

    many = train.fit_many(make_train(config), jax.random.split(jax.random.key(config.seed), config.seeds))
    found = np.asarray(many.results["embeddings"])
    good, great = WORDS.index("good"), WORDS.index("great")
    ratios = []
    for vectors in found:
        between = distances(vectors)
        near = between[good, great]
        between[good, great] = between[great, good] = np.inf
        ratios.append(near / between[np.triu_indices(len(WORDS), 1)].min())
    page.compare(
        "distance of good and great over the nearest other two words, median of seeds",
        np.median(ratios),
        "<= 0.1",
    )
    picked = one_hot @ found[0]
    page.compare(
        "largest difference of one-hot times kernel and a row of it", np.abs(picked - found[0]).max(), 0
    )
    _show(page, found[int(np.argmin(ratios))])


def _show(page: Page, vectors: np.ndarray) -> None:
    page.table(
        "Sentences as numbers", ("sentence", "ids", "one-hot of its third word"),
        [(s, str(encode(s)), str(np.eye(len(WORDS), dtype=int)[encode(s)[2]].tolist())) for s in SENTENCES],
        f"The vocabulary in alphabetical order: {', '.join(WORDS)}.",
    )  # fmt: skip
    panels = {"one-hot": distances(np.eye(len(WORDS))), "learned, two numbers": distances(vectors)}
    matrices(
        page.picture("distances.png"), "How far words are apart", panels, WORDS,
        dict.fromkeys(panels, WORDS),
    )  # fmt: skip
    page.show(
        "Distances",
        "As unit vectors all words are equally different, sqrt(2) apart: the numbers say nothing but who is "
        "who. Learned from neighbours, two words with the same neighbours come together. You shall know "
        "a word by the company it keeps (J. R. Firth, 1957).",
        "distances.png",
    )


EXPERIMENT = Experiment("one_hot", "Words as numbers", Config, run)
