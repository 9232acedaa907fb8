"""Tiny Shakespeare: a million characters of his plays, for models of characters.

From A. Karpathy, "The unreasonable effectiveness of recurrent neural networks", 2015, whose char-rnn made it
the usual first text of a character model.
"""

from dataclasses import dataclass

import numpy as np

from experiments.data.download import RemoteFile, fetch

TEXT = RemoteFile(
    "text/tinyshakespeare.txt",
    1_115_394,
    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ["https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"],
)
TRAINING_SHARE = 0.9


@dataclass(frozen=True)
class Characters:
    """A text as ids of its characters.

    Attributes:
        alphabet: the characters; an id is a place in it.
        training: ids ``[n]`` of the first nine tenths of the text.
        validation: ids of the rest.
    """

    alphabet: str
    training: np.ndarray
    validation: np.ndarray

    @classmethod
    def of(cls, text: str) -> "Characters":
        """Cut a text: the first 90 % to train with, the last 10 % to validate with.

        Raises:
            ValueError: the text is too short to be cut in two.
        """
        cut = int(len(text) * TRAINING_SHARE)
        if cut < 2 or len(text) - cut < 2:
            raise ValueError(f"a text of {len(text)} characters can't be cut in two; give at least 20")
        alphabet = "".join(sorted(set(text)))
        ids = encode(alphabet, text)
        return cls(alphabet, ids[:cut], ids[cut:])


def load_tiny_shakespeare() -> str:
    """The text: 1,115,394 characters, 65 different ones.

    Raises:
        OSError: the file is nowhere and cannot be downloaded; the message says where to put it.
        ValueError: the file in ``JAXNN_DATA`` has other content.
    """
    return fetch(TEXT).decode("ascii")


def encode(alphabet: str, text: str) -> np.ndarray:
    """Ids ``[n]`` of the characters of ``text``.

    Raises:
        ValueError: a character is not in the alphabet.
    """
    places = {character: place for place, character in enumerate(alphabet)}
    if unknown := sorted(set(text) - set(places)):
        raise ValueError(f"the alphabet lacks {''.join(unknown)!r}; it has {alphabet!r}")
    return np.fromiter((places[character] for character in text), np.int32, len(text))


def decode(alphabet: str, ids: np.ndarray) -> str:
    """The text of ids ``[n]``."""
    return "".join(alphabet[i] for i in ids)
