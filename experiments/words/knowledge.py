"""What word vectors know: related words, nearest words, analogies, a map."""

from collections.abc import Iterable, Sequence

import numpy as np

from experiments.words.vocabulary import Vocabulary


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's correlation: that of the ranks, where equal values share their mean rank."""
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _ranks(values: Sequence[float]) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def directions(vectors: np.ndarray) -> np.ndarray:
    """The vectors at length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def relatedness(
    vocabulary: Vocabulary, vectors: np.ndarray, pairs: Iterable[tuple[str, str, float]]
) -> tuple[float, int]:
    """Rank correlation of cosines and people's judgements, and for how many pairs both words are known."""
    unit, index = directions(vectors), vocabulary.index
    known = [(unit[index[a]] @ unit[index[b]], judged) for a, b, judged in pairs if a in index and b in index]
    cosines, judgements = zip(*known, strict=True)
    return rank_correlation(cosines, judgements), len(known)


def nearest(vocabulary: Vocabulary, vectors: np.ndarray, word: str, count: int = 8) -> list[str]:
    """The words whose vectors point most nearly in the direction of ``word``'s, without itself.

    Raises:
        ValueError: the vocabulary lacks the word.
    """
    unit = directions(vectors)
    cosines = unit @ unit[_place(vocabulary, word)]
    return [vocabulary.words[i] for i in np.argsort(-cosines, kind="stable") if vocabulary.words[i] != word][
        :count
    ]


def analogies(
    vocabulary: Vocabulary, vectors: np.ndarray, quartets: Iterable[tuple[str, str, str, str]], among: int = 1
) -> tuple[int, int]:
    """How often ``b - a + c`` is nearest to ``d``, of all words but ``a``, ``b`` and ``c``; and of how many.

    Quartets of which a word is not in the vocabulary are left out.

    Args:
        vocabulary: the words.
        vectors: ``[words, features]``.
        quartets: ``a`` is to ``b`` as ``c`` is to ``d``.
        among: how many of the nearest words may be ``d``.
    """
    unit, index = directions(vectors), vocabulary.index
    asked = [[index[word] for word in four] for four in quartets if all(word in index for word in four)]
    right = 0
    for a, b, c, d in asked:
        cosines = unit @ (unit[b] - unit[a] + unit[c])
        cosines[[a, b, c]] = -np.inf
        right += bool((cosines > cosines[d]).sum() < among)
    return right, len(asked)


def plane(vocabulary: Vocabulary, vectors: np.ndarray, words: Sequence[str]) -> np.ndarray:
    """Places of words ``[words, 2]`` on their two first principal axes, as directions from the mean word."""
    unit = directions(vectors - vectors.mean(axis=0))
    chosen = unit[[_place(vocabulary, word) for word in words]]
    chosen = chosen - chosen.mean(axis=0)
    return chosen @ np.linalg.svd(chosen, full_matrices=False)[2][:2].T


def _place(vocabulary: Vocabulary, word: str) -> int:
    if word not in vocabulary.index:
        raise ValueError(f"{word!r} is not one of the {len(vocabulary)} words of the vocabulary")
    return vocabulary.index[word]
