"""The text format of word2vec, which gensim, spaCy and others read: a word and its numbers a line."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxnn.interop._atomic_write import atomic_write


def save_word2vec(path: str | Path, words: Sequence[str], vectors: np.ndarray) -> None:
    r"""Write words and their vectors ``[words, features]``, such that reading gives the same float32 bits.

    Raises:
        ValueError: there are not as many words as vectors, or a word holds a blank, which the format forbids.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "vectors.txt"
        >>> save_word2vec(path, ["sea", "lake"], np.array([[0.5, 1], [0.25, 2]], np.float32))
        >>> path.read_text()
        '2 2\nsea 0.5 1.0\nlake 0.25 2.0\n'
    """
    if len(words) != len(vectors):
        raise ValueError(f"save_word2vec: {len(words)} words but {len(vectors)} vectors; each word needs one")
    bad = next((word for word in words if not word or len(word.split()) != 1), None)
    if bad is not None:
        raise ValueError(f"save_word2vec: {bad!r} is no single word, and the format separates by blanks")
    lines = [f"{len(words)} {vectors.shape[1]}"]
    numbers = np.asarray(vectors, np.float32)
    lines += [f"{word} {' '.join(map(str, row))}" for word, row in zip(words, numbers, strict=True)]
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def load_word2vec(path: str | Path) -> tuple[list[str], np.ndarray]:
    """Read words and vectors, float32 ``[words, features]``.

    Raises:
        ValueError: lines are missing, or one does not hold a word and as many numbers as the first promises.
    """
    path = Path(path)
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    count, features = map(int, head.split())
    if len(lines) != count:
        raise ValueError(f"{path}: the first line promises {count} words, there are {len(lines)}")
    words, rows = [], []
    for number, line in enumerate(lines, start=2):
        word, *numbers = line.split(" ")
        if len(numbers) != features:
            raise ValueError(f"{path}:{number}: expected a word and {features} numbers, got {len(numbers)}")
        words.append(word)
        rows.append(numbers)
    return words, np.array(rows, np.float32)
