"""Fetching a data file: checksum of the decompressed content, unique temporary file, atomic rename.

The checksum is that of the content, because another gzip of the same bytes is just as valid. A page of HTML,
a short body and a flipped bit all fail it; a file that fails it never gets its final name.
"""

import errno
import gzip
import hashlib
import os
import sys
import urllib.error
import urllib.request
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from jaxnn.interop._atomic_write import atomic_write

CHUNK = 1 << 20
TIMEOUT_SECONDS = 20.0
# What this machine may say to a file that is to be stored, and no other machine to a download.
_CANNOT_STORE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EEXIST,
)  # fmt: skip


class DataNotFoundError(OSError):
    """A data file is nowhere on this machine, and cannot be downloaded."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set, gzipped where its name ends in ``.gz``.

    Attributes:
        name: its path below the data folder, such as ``mnist/train-labels-idx1-ubyte.gz``.
        size: bytes of the decompressed content.
        sha256: checksum of the decompressed content; ``""`` where only ``zipped_md5`` is published.
        addresses: where it can be had, tried in order.
        zipped_md5: checksum of the gzipped file, for a publisher who states no other.
    """

    name: str
    size: int
    sha256: str
    addresses: Sequence[str]
    zipped_md5: str = ""

    def __post_init__(self) -> None:
        """Refuse a file whose content nothing would verify.

        Raises:
            ValueError: there is neither checksum.
        """
        if not (self.sha256 or self.zipped_md5):
            raise ValueError(f"{self.name}: give sha256 or zipped_md5; what is not verified is not read")


def cache_folder() -> Path:
    """The folder of downloads and compiled programs: ``JAXNN_CACHE``, or ``~/.cache/jaxnn``.

    Raises:
        RuntimeError: the user has no home, and ``JAXNN_CACHE`` names no folder without one.
    """
    chosen = os.environ.get("JAXNN_CACHE")
    try:
        return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "jaxnn"
    except RuntimeError as error:
        raise RuntimeError("this user has no home to keep files in; set JAXNN_CACHE to a folder") from error


def fetch(file: RemoteFile) -> bytes:
    """The decompressed, verified content: from ``JAXNN_DATA``, else from the cache, else downloaded into it.

    Raises:
        ValueError: the file in ``JAXNN_DATA`` does not have the expected content.
        OSError: the file is nowhere, and cannot be downloaded or stored.
    """
    folder = os.environ.get("JAXNN_DATA")
    if folder and (Path(folder) / file.name).exists():
        return read_verified(Path(folder) / file.name, file)
    try:
        cached = cache_folder() / file.name
    except RuntimeError as error:
        raise FileNotFoundError(f"{file.name}: is not in JAXNN_DATA, and {error}") from error
    if cached.exists():
        try:
            return read_verified(cached, file)
        except ValueError as error:
            print(f"{error}; fetching it again", file=sys.stderr)
    return _download(file, cached)


def read_verified(path: Path, file: RemoteFile) -> bytes:
    """Read ``path``, decompressed, and check size and checksum, reading no more than the size allows.

    Raises:
        ValueError: the content is not what ``file`` promises.
    """
    try:
        with gzip.open(path, "rb") if file.name.endswith(".gz") else path.open("rb") as stream:
            content = stream.read(file.size + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: not a whole gzip file ({error})") from error
    if len(content) != file.size:
        found = f"more than {file.size}" if len(content) > file.size else len(content)
        raise ValueError(f"{path}: expected {file.size} bytes of content, got {found}")
    if file.sha256 and (digest := hashlib.sha256(content).hexdigest()) != file.sha256:
        raise ValueError(f"{path}: checksum mismatch, expected SHA-256 {file.sha256}, got {digest}")
    if file.zipped_md5 and (digest := _md5(path)) != file.zipped_md5:
        raise ValueError(f"{path}: checksum mismatch, expected MD5 {file.zipped_md5}, got {digest}")
    return content


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _download(file: RemoteFile, target: Path) -> bytes:
    """Try each address in turn; keep the first whose content is right."""
    failures = []
    for address in file.addresses:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(target) as temporary:
                _save(address, temporary, limit=2 * file.size + CHUNK)
                return read_verified(temporary, file)
        except (HTTPException, OSError) as error:
            if (number := getattr(error, "errno", None)) in _CANNOT_STORE:
                # Its own text may be a whole message of atomic_write.
                raise OSError(
                    number,
                    f"{target.parent}: cannot store a file there ({os.strerror(number)}); set JAXNN_CACHE to "
                    f"another folder, or put the file at $JAXNN_DATA/{file.name}",
                ) from error
            failures.append(f"{address}: {getattr(error, 'reason', None) or error}")
        except ValueError as error:
            # The temporary name means nothing to the reader; the address does.
            failures.append(f"{address}: {str(error).split(': ', 1)[-1]}")
    raise DataNotFoundError(
        f"{target} is not there, nor is $JAXNN_DATA/{file.name}, and no download succeeded "
        f"({'; '.join(failures)}). Go online, or put the file at either place"
    )


def _save(address: str, path: Path, limit: int) -> None:
    """Stream ``address`` into ``path``, refusing a body that no valid file could need."""
    with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as response, path.open("wb") as out:
        expected = response.headers.get("Content-Length")
        written = 0
        while chunk := response.read(CHUNK):
            written += out.write(chunk)
            if written > limit:
                raise ValueError(f"{path}: the body is larger than {limit} bytes")
    if expected is not None and written != int(expected):
        raise ValueError(f"{path}: the connection ended after {written} of {expected} bytes")
