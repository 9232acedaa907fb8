"""Huffman's tree: the binary tree over the words in which the mean way from the root is shortest."""

import heapq
from typing import NamedTuple

import numpy as np


class Tree(NamedTuple):
    """The way to each word.

    Attributes:
        forks: int32 ``[words, depth]``, the forks from the root on, ``-1`` behind the end of the way.
        right: bool ``[words, depth]``, whether the way goes to the right at that fork.
    """

    forks: np.ndarray
    right: np.ndarray


def huffman(counts: np.ndarray) -> Tree:
    """Join the two rarest trees until there is one (D. A. Huffman, 1952).

    Args:
        counts: ``[words]``, how often each occurs; at least two words.

    Returns:
        A tree with ``words - 1`` forks, numbered from 0.

    Example:
        >>> huffman(np.array([4, 2, 1])).forks.tolist()
        [[1, -1], [1, 0], [1, 0]]
    """
    words = len(counts)
    trees = [(int(count), word) for word, count in enumerate(counts)]
    heapq.heapify(trees)
    above: dict[int, tuple[int, bool]] = {}
    for fork in range(words, 2 * words - 1):
        (one, left), (other, right) = heapq.heappop(trees), heapq.heappop(trees)
        above[left], above[right] = (fork, False), (fork, True)
        heapq.heappush(trees, (one + other, fork))
    ways = []
    for word in range(words):
        way, place = [], word
        while place in above:
            place, right = above[place]
            way.append((place - words, right))
        ways.append(way[::-1])
    forks = np.full((words, max(map(len, ways))), -1, np.int32)
    rights = np.zeros(forks.shape, bool)
    for word, way in enumerate(ways):
        forks[word, : len(way)], rights[word, : len(way)] = zip(*way, strict=True)
    return Tree(forks, rights)
