"""Judging a written text: are its words words, and what would knowing next to nothing cost?"""

import re

import numpy as np

from experiments.data.tiny_shakespeare import Characters

WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


def known_share(text: str, of: str) -> float:
    """Share of the words of ``text`` that occur in ``of``, without regard to case; 0 where there are none."""
    known, written = set(WORD.findall(of.lower())), WORD.findall(text.lower())
    return sum(word in known for word in written) / len(written) if written else 0.0


def unigram_loss(text: Characters) -> float:
    """Cross entropy (nats) of the validation part by how often each character stands in the training part."""
    counts = np.bincount(text.training, minlength=len(text.alphabet)) + 1.0
    return float(-np.log(counts / counts.sum())[text.validation].mean())
