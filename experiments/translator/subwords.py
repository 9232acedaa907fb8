"""Subwords: frequent words whole, others in pieces, so that a few thousand pieces spell every word.

Pieces are learned by sentencepiece (Kudo and Richardson, 2018, arXiv:1808.06226) from the training part
alone. A character that was never seen falls apart into its bytes, which are pieces too.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

PAD, UNKNOWN, BEGIN, END = range(4)


@dataclass(frozen=True)
class Subwords:
    """The pieces of one language.

    Attributes:
        model: sentencepiece's own file.
    """

    model: bytes

    @classmethod
    def learn(cls, sentences: Sequence[str], size: int) -> "Subwords":
        """Learn at most ``size`` pieces; fewer where the text does not hold as many."""
        import sentencepiece

        file = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences), model_writer=file, vocab_size=size, hard_vocab_limit=False,
            model_type="unigram", byte_fallback=True, character_coverage=1.0,
            pad_id=PAD, unk_id=UNKNOWN, bos_id=BEGIN, eos_id=END, num_threads=1, minloglevel=2,
        )  # fmt: skip
        return cls(file.getvalue())

    @classmethod
    def load(cls, path: Path) -> "Subwords":
        """Read what ``save`` wrote."""
        return cls(path.read_bytes())

    def save(self, path: Path) -> None:
        """Write sentencepiece's own file."""
        path.write_bytes(self.model)

    @cached_property
    def processor(self) -> Any:
        """Sentencepiece itself."""
        import sentencepiece

        return sentencepiece.SentencePieceProcessor(model_proto=self.model)

    @property
    def size(self) -> int:
        """Number of pieces, the four special ones included."""
        return self.processor.get_piece_size()

    def encode(self, sentence: str) -> list[int]:
        """The pieces of a sentence, without begin and end."""
        return self.processor.encode(sentence)

    def decode(self, ids: Sequence[int]) -> str:
        """The sentence that pieces spell; special pieces spell nothing."""
        return self.processor.decode([int(piece) for piece in ids])

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The pieces as text, for labels; ``▁`` stands before a word."""
        return [self.processor.id_to_piece(int(piece)) for piece in ids]


def padded(rows: Sequence[Sequence[int]], length: int) -> np.ndarray:
    """Rows of pieces as int32 ``[rows, length]``, filled up with ``PAD``."""
    laid = np.full((len(rows), length), PAD, np.int32)
    for place, row in zip(laid, rows, strict=True):
        place[: len(row)] = row
    return laid
