"""The Brown corpus: 57,340 sentences of American English of 1961, 1,161,192 tokens, for word vectors.

W. N. Francis and H. Kucera, "A standard corpus of present-day edited American English", Brown University,
1964. It may be used for non-commercial purposes, so it does not come with the project: NLTK's tagged edition
is downloaded once, and its tags are cut off.
"""

import gzip
import io
import re
import urllib.request
import zipfile
from pathlib import Path

from experiments.data.download import CHUNK, TIMEOUT_SECONDS, RemoteFile, cache_folder, fetch, read_verified
from jaxnn.interop._atomic_write import atomic_write

TEXT = RemoteFile(
    "text/brown.txt.gz",
    6_127_074,
    "1c2bc5499dfabffb49758b2d93a78a83b567695ae3abc905bb84bf1ff0dc1587",
    addresses=(),
)
TAGGED = "https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/packages/corpora/brown.zip"
LARGEST = 16 * CHUNK
PART = re.compile(r"brown/c[a-r]\d\d")


def load_brown() -> list[list[str]]:
    """The sentences as lists of tokens, in the order of the corpus; punctuation marks are tokens.

    They come from ``JAXNN_DATA``, else from the cache, else from NLTK's archive, and are checked either way.

    Raises:
        OSError: the text is nowhere and cannot be downloaded; the message says where to put it.
        ValueError: the file in ``JAXNN_DATA``, or what was downloaded, has other content.
    """
    try:
        content = fetch(TEXT)
    except OSError:
        content = _from_nltk(cache_folder() / TEXT.name)
    return [line.split() for line in content.decode("ascii").splitlines()]


def untagged(archive: bytes) -> bytes:
    """The text of NLTK's archive: a line for each sentence, its tokens separated by blanks."""
    with zipfile.ZipFile(io.BytesIO(archive)) as parts:
        lines = [
            " ".join(token.rpartition("/")[0] for token in line.split())
            for name in sorted(filter(PART.fullmatch, parts.namelist()))
            for line in parts.read(name).decode("ascii").splitlines()
        ]
    return "".join(f"{line}\n" for line in lines if line).encode("ascii")


def _from_nltk(target: Path) -> bytes:
    """Download the tagged edition and keep its text in the cache."""
    try:
        with urllib.request.urlopen(TAGGED, timeout=TIMEOUT_SECONDS) as response:
            archive = response.read(LARGEST)
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as temporary:
            temporary.write_bytes(gzip.compress(untagged(archive), mtime=0))
            return read_verified(temporary, TEXT)
    except (OSError, zipfile.BadZipFile) as error:
        raise OSError(
            f"{target} is not there, nor is $JAXNN_DATA/{TEXT.name}, and {TAGGED} cannot be had ({error}). "
            f"Go online, or put the file at either place"
        ) from error
