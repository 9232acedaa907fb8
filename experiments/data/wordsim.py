"""WordSimilarity-353: pairs of English words and how related people find them, from 0 to 10.

L. Finkelstein, E. Gabrilovich, Y. Matias, E. Rivlin, Z. Solan, G. Wolfman and E. Ruppin, "Placing search in
context: the concept revisited", ACM Transactions on Information Systems 20(1), 2002. It comes with the
experiments under CC BY 4.0.
"""

from pathlib import Path

FILE = Path(__file__).parent / "wordsim353" / "wordsim353.tsv"


def load_wordsim() -> list[tuple[str, str, float]]:
    """The 353 pairs, lower-cased, each with the mean judgement of 13 to 16 people."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    cells = (line.split("\t") for line in lines if not line.startswith("#"))
    return [(first.lower(), second.lower(), float(mean)) for first, second, mean in cells]
