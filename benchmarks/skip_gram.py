"""Seconds for a million words of skip-gram with negative sampling, whole trainings, beside gensim's."""

from dataclasses import dataclass
from typing import Any

from benchmarks._row import Contender, Laps, Row


@dataclass(frozen=True)
class Work:
    """gensim's own settings.

    Attributes:
        sentences: of the Brown corpus; ``None`` for all, 0 for made-up ones that need no data.
        features: numbers in a vector.
        epochs: passes over the text in a lap.
    """

    sentences: int | None = None
    features: int = 100
    epochs: int = 5


def _sentences(work: Work) -> list[list[str]]:
    import numpy as np

    if work.sentences == 0:
        draws = np.random.default_rng(0).zipf(1.3, (200, 20)) % 300
        return [[f"word{number}" for number in line] for line in draws]
    from experiments.data.brown import load_brown

    return [[word.lower() for word in sentence] for sentence in load_brown()[: work.sentences]]


def _effective(work: Work) -> float:
    """Words that are left after thinning out the frequent ones, in the mean, all passes together."""
    from experiments.words.vocabulary import Vocabulary

    vocabulary = Vocabulary.of(_sentences(work))
    return work.epochs * float(vocabulary.counts @ vocabulary.keep_probabilities(1e-3))


def _relatedness(words: Any, vectors: Any, work: Work) -> float:
    """WordSim-353 rank correlation, the quality beside which the speed is to be read."""
    import numpy as np

    from experiments.data.wordsim import load_wordsim
    from experiments.words.knowledge import relatedness
    from experiments.words.vocabulary import Vocabulary

    if work.sentences == 0:
        return float(np.abs(vectors).mean())
    return relatedness(Vocabulary(tuple(words), np.zeros(len(words))), vectors, load_wordsim())[0]


def jaxnn(work: Work, laps: Laps) -> None:
    """Blocks of text as matrix products, all epochs one program; a new seed each lap."""
    import jax
    import numpy as np

    from experiments.words.forms import SKIP_GRAM
    from experiments.words.inputs import whole_words
    from experiments.words.learning import Model, Settings, make_train
    from experiments.words.questions import negative_sampling
    from experiments.words.vocabulary import Vocabulary

    sentences = _sentences(work)
    vocabulary = Vocabulary.of(sentences)
    model = Model(SKIP_GRAM, whole_words(vocabulary), negative_sampling(vocabulary))
    size = {"length": 8, "blocks": 2} if work.sentences == 0 else {}
    settings = Settings(work.features, epochs=work.epochs, **size)
    text, keep = vocabulary.encode(sentences), vocabulary.keep_probabilities(1e-3)
    train = make_train(text, keep, model, settings)
    seed = 0
    while True:
        tables, _ = train(jax.random.key(seed))
        vectors = np.asarray(model.inputs.vectors(tables.inputs, np.arange(len(vocabulary))))
        laps(_relatedness(vocabulary.words, vectors, work))
        seed += 1


def gensim(work: Work, laps: Laps) -> None:
    """gensim with two workers; the vocabulary is built once, the weights anew in each lap."""
    import numpy as np
    from gensim.models import Word2Vec

    sentences = _sentences(work)
    seed = 0
    model = Word2Vec(vector_size=work.features, sg=1, epochs=work.epochs, workers=2, seed=seed)
    model.build_vocab(sentences)
    while True:
        model.train(sentences, total_examples=len(sentences), epochs=work.epochs)
        laps(_relatedness(model.wv.index_to_key, model.wv.vectors, work))
        seed += 1
        # init_weights would keep what was learned: it only adds rows for new words.
        drawn = np.random.default_rng(seed).random(model.wv.vectors.shape, np.float32)
        model.wv.vectors[:] = (drawn - 0.5) / work.features
        model.syn1neg[:] = 0


ROW = Row(
    title="Skip-gram with negative sampling, five passes over the Brown corpus: seconds for a million words",
    unit="s/million words",
    sizes={"full": Work(), "tiny": Work(sentences=0, features=8, epochs=1)},
    contenders=(
        Contender("jaxnn", jaxnn, ("jaxnn", "jax", "jaxlib")),
        Contender("gensim (2 workers)", gensim, ("gensim",)),
    ),
    per_lap=lambda work: 1e6 / _effective(work),
    note=(
        "Words left after thinning out the frequent ones; 100 features, window 5, 5 negatives. The result kept "
        "with each contender is the WordSim-353 rank correlation of its last vectors; over five seeds "
        "`python -m experiments word_vectors` compares it."
    ),
)
