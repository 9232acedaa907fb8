"""Five small tasks, one of each kind, with their data, models and the score that is told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn as nn
from experiments.data.pictures import Pictures
from experiments.sequences import numbers
from experiments.sequences.models import decoder
from experiments.sequences.symbols import BEGIN, Symbols, padded, written

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LETTERS = Symbols(tuple("abcdefghijklmnopqrstuvwxyz"))


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        kind: of the five. reads: what comes in, in words. writes: what goes out. scored: what the score is.
        model: what learns it.
        data: training examples ``(inputs, targets)``.
        test: the same of examples that are never trained on.
        answer: ``(params, inputs) -> ids``, what the trained model says, a pure function.
        score: ``(answers, targets) -> share that is right``.
        goal: a score that is reached.
        epochs: passes over the training examples.
        example: a test input and what should be written, as symbols.
    """

    kind: str
    reads: str
    writes: str
    scored: str
    model: nn.Layer
    data: Any
    test: Any
    answer: Callable[[Any, Any], Any]
    score: Callable[[np.ndarray, Any], float]
    goal: float
    epochs: int
    example: tuple[Sequence[str], Sequence[str]]


def one_to_one(pictures: Pictures, features: int) -> Task:
    """A picture at once, and its digit: no sequence at all."""
    model = nn.chain(nn.flatten(), nn.dense(features), jax.nn.relu, nn.dense(pictures.classes))
    return Task(
        "one to one", "a picture", "its digit", "pictures", model, *_parts(pictures, pictures.y_test),
        _best(model), _right, 0.95, 40, (["picture"], [str(pictures.y_test[0])]),
    )  # fmt: skip


def many_to_one(pictures: Pictures, features: int) -> Task:
    """The same picture row by row, and its digit at the end."""
    model = nn.chain(nn.lstm(features, return_sequences=False), nn.dense(pictures.classes))
    rows = [f"row {row + 1}" for row in range(pictures.x.shape[1])]
    return Task(
        "many to one", "the rows of a picture", "its digit", "pictures", model,
        *_parts(pictures, pictures.y_test), _best(model), _right, 0.95, 40, (rows, [str(pictures.y_test[0])]),
    )  # fmt: skip


def one_to_many(pictures: Pictures, features: int) -> Task:
    """A picture, and the name of its digit, letter by letter."""
    encoder = nn.chain(nn.flatten(), nn.dense(features), jnp.tanh)
    model, cell = decoder(encoder, len(LETTERS), features)

    def examples(x: np.ndarray, y: np.ndarray) -> Any:
        previous, targets = written([LETTERS.ids(NAMES[label]) for label in y])
        return (previous, x), targets

    data, test = examples(pictures.x, pictures.y), examples(pictures.x_test, pictures.y_test)
    name = list(NAMES[int(pictures.y_test[0])])
    return Task(
        "one to many", "a picture", "its digit's name, letter by letter", "whole names", model, data, test,
        _speaking(cell, test[1].value.shape[1]), _whole, 0.9, 60, (["picture"], name),
    )  # fmt: skip


def aligned(text: str, count: int, test_count: int, length: int, features: int) -> Task:
    """Letters of a text without blanks, and for each whether a word ends with it."""
    cut = len(text) * 9 // 10
    alphabet = sorted(set(text) - {" "})

    def examples(part: str, rows: int) -> Any:
        letters, ends = run_together(part)
        rows = min(rows, len(letters) // length)
        ids = np.array([alphabet.index(letter) for letter in letters[: rows * length]], np.int32)
        return ids.reshape(rows, length), ends[: rows * length].reshape(rows, length)

    model = nn.chain(
        nn.embedding(len(alphabet), -(-features // 2)), nn.bidirectional(nn.gru(features)), nn.dense(2)
    )
    data, test = examples(text[:cut], count), examples(text[cut:], test_count)
    shown = slice(0, 8)
    example = [alphabet[i] for i in test[0][0, shown]], ["|" if end else "·" for end in test[1][0, shown]]
    return Task(
        "many to many, aligned", "letters without blanks", "where words end", "letters", model, data, test,
        _best(model), _right, 0.92, 6, example,
    )  # fmt: skip


def encoder_decoder(count: int, test_count: int, features: int) -> Task:
    """A number in words, read to its end, and then its digits."""
    words, digits = Symbols(numbers.WORDS), Symbols(tuple("0123456789"))
    encoder = nn.chain(nn.embedding(len(words), features), nn.gru(features, return_sequences=False))
    model, cell = decoder(encoder, len(digits), features)
    order = np.random.default_rng(0).permutation(10_000)

    def examples(values: np.ndarray) -> Any:
        source = padded([words.ids(numbers.in_words(int(value))) for value in values], numbers.LONGEST)
        previous, targets = written([digits.ids(str(value)) for value in values])
        return (previous, source), targets

    test = examples(order[count : count + test_count])
    shown = int(order[count])
    return Task(
        "many to many, encoder and decoder", "a number in words", "its digits", "whole numbers", model,
        examples(order[:count]), test, _speaking(cell, test[1].value.shape[1]), _whole, 0.95, 60,
        (numbers.in_words(shown), list(str(shown))),
    )  # fmt: skip


def run_together(text: str) -> tuple[str, np.ndarray]:
    """The letters of a text without its blanks, and for each whether a word ends with it, int32 ``[n]``."""
    words = text.split()
    ends = [int(place == len(word) - 1) for word in words for place in range(len(word))]
    return "".join(words), np.array(ends, np.int32)


def _parts(pictures: Pictures, test_labels: np.ndarray) -> tuple[Any, Any]:
    return (pictures.x, pictures.y), (pictures.x_test, test_labels)


def _best(model: nn.Layer) -> Callable[[Any, Any], Any]:
    """The most probable class, or that of each step."""
    return lambda params, inputs: jnp.argmax(model.apply(params, {}, inputs)[0], axis=-1)


def _speaking(cell: nn.Cell, steps: int) -> Callable[[Any, Any], Any]:
    """The most probable symbol at a time, by the model's own choices, ``[rows, steps]``."""

    def answer(params: Any, inputs: Any) -> Any:
        previous, source = inputs
        begin = jnp.full((previous.shape[0], 1), BEGIN, jnp.int32)
        return nn.generate(cell, params, begin, steps, memory=source).tokens

    return answer


def _right(answers: np.ndarray, targets: Any) -> float:
    return float(np.mean(answers == targets))


def _whole(answers: np.ndarray, targets: nn.Masked) -> float:
    """Share of the sequences that are right from the beginning to their end."""
    agree = (answers == np.asarray(targets.value)) | ~np.asarray(targets.mask)
    return float(np.mean(agree.all(axis=1)))
