"""Fetching data: local folder, cache, download; checksums, broken servers, concurrent fetchers."""

import errno
import gzip
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from experiments.data.download import RemoteFile, cache_folder, fetch

CONTENT = bytes(range(256)) * 400
ZIPPED = gzip.compress(CONTENT)
OTHER = gzip.compress(CONTENT[::-1])
BOMB = gzip.compress(bytes(10_000_000))
NAME = "toy/data.gz"
# What each address claims as Content-Length, and what it sends.
BODIES = {
    "/good": (len(ZIPPED), ZIPPED),
    "/plain": (len(CONTENT), CONTENT),
    "/html": (40, b"<html>This file has moved away.</html>  "),
    "/short": (len(ZIPPED), ZIPPED[: len(ZIPPED) // 2]),
    "/truncated": (len(ZIPPED) // 2, ZIPPED[: len(ZIPPED) // 2]),
    "/other": (len(OTHER), OTHER),
    "/bomb": (len(BOMB), BOMB),
    "/endless": (50_000_000, bytes(3_000_000)),
}


class Handler(BaseHTTPRequestHandler):
    requests = 0
    lock = threading.Lock()

    def do_GET(self) -> None:
        with self.lock:
            type(self).requests += 1
        length, body = BODIES[self.path]
        if self.path == "/good":
            time.sleep(0.05)  # so that concurrent fetchers do overlap
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        try:
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JAXNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JAXNN_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


@pytest.fixture
def remote(server: str) -> Callable[..., RemoteFile]:
    def make(*paths: str) -> RemoteFile:
        digest = hashlib.sha256(CONTENT).hexdigest()
        return RemoteFile(NAME, len(CONTENT), digest, [f"{server}/{path}" for path in paths])

    return make


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_downloads_once_then_reads_the_cache(cache: Path, remote) -> None:
    before = Handler.requests
    assert fetch(remote("good")) == CONTENT
    assert fetch(remote("good")) == CONTENT
    assert Handler.requests == before + 1
    assert files(cache) == [NAME]


def test_a_file_whose_name_does_not_end_in_gz_is_plain(cache: Path, server: str) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    file = RemoteFile("toy/data.txt", len(CONTENT), digest, [f"{server}/good", f"{server}/plain"])
    assert fetch(file) == CONTENT  # the zipped one is not its content, so the second address is taken
    assert (cache / "toy/data.txt").read_bytes() == CONTENT
    assert fetch(file) == CONTENT


def test_the_own_folder_comes_first_and_needs_no_network(
    cache: Path, tmp_path: Path, monkeypatch, remote
) -> None:
    path = tmp_path / "own" / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(CONTENT, 1))  # another gzip of the same bytes is as good
    monkeypatch.setenv("JAXNN_DATA", str(tmp_path / "own"))
    assert fetch(remote()) == CONTENT
    assert not cache.exists()


def test_other_content_in_the_own_folder_is_an_error(
    tmp_path: Path, monkeypatch, cache: Path, remote
) -> None:
    path = tmp_path / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(CONTENT[::-1]))
    monkeypatch.setenv("JAXNN_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"data\.gz: checksum mismatch, expected SHA-256 .*, got "):
        fetch(remote("good"))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("html", "not a whole gzip file"),
        ("short", "the connection ended after|IncompleteRead|not a whole gzip file"),
        ("truncated", "not a whole gzip file"),
        ("other", "checksum mismatch"),
        ("bomb", f"expected {len(CONTENT)} bytes of content, got more than"),
        ("endless", "the body is larger than"),
    ],
)
def test_a_bad_body_is_an_error_and_leaves_nothing(cache: Path, remote, path: str, reason: str) -> None:
    with pytest.raises(OSError, match=reason) as error:
        fetch(remote(path))
    assert files(cache) == []
    text = str(error.value)
    assert str(cache / NAME) in text
    assert f"/{path}: " in text
    assert "Go online, or put the file at either place" in text


def test_the_next_mirror_is_tried(cache: Path, remote) -> None:
    assert fetch(remote("html", "short", "good")) == CONTENT
    assert files(cache) == [NAME]


def test_a_damaged_file_in_the_cache_is_fetched_again(cache: Path, remote, capsys) -> None:
    (cache / NAME).parent.mkdir(parents=True)
    (cache / NAME).write_bytes(ZIPPED[:100])
    assert fetch(remote("good")) == CONTENT
    assert "not a whole gzip file" in capsys.readouterr().err
    assert gzip.decompress((cache / NAME).read_bytes()) == CONTENT


def test_eight_concurrent_fetchers(cache: Path, remote) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: fetch(remote("good")), range(8)))
    assert all(result == CONTENT for result in results)
    assert files(cache) == [NAME]


def test_offline_names_path_address_and_remedy(cache: Path) -> None:
    file = RemoteFile(NAME, 1, "0" * 64, ["http://127.0.0.1:9/data.gz"])
    with pytest.raises(OSError, match=r"http://127.0.0.1:9/data.gz: .*refused") as error:
        fetch(file)
    assert str(cache / NAME) in str(error.value)
    assert "JAXNN_DATA" in str(error.value)


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch, remote) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("JAXNN_CACHE", str(tmp_path / "file"))
    monkeypatch.delenv("JAXNN_DATA", raising=False)
    with pytest.raises(OSError, match="Not a directory"):
        fetch(remote("good"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_that_cannot_store_is_told_once(cache: Path, monkeypatch, remote, number: int) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "touch", refuse)  # whoever runs the tests may be allowed to write anywhere
    with pytest.raises(OSError, match="set JAXNN_CACHE to another folder") as caught:
        fetch(remote("good"))
    assert caught.value.errno == number
    told = f"{(cache / NAME).parent}: cannot store a file there ({os.strerror(number)}); set JAXNN_CACHE"
    assert str(caught.value).startswith(f"[Errno {number}] {told}")
    assert str(caught.value).count(os.strerror(number)) == 1


@pytest.mark.parametrize("chosen", ["", "~/cache"])
def test_a_user_without_a_home_reads_local_files_and_is_told_of_the_rest(
    chosen: str, tmp_path: Path, monkeypatch
) -> None:
    def homeless(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr(Path, "expanduser", homeless)
    monkeypatch.setenv("JAXNN_CACHE", chosen)
    monkeypatch.setenv("JAXNN_DATA", str(tmp_path))
    file = RemoteFile(NAME, len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), [])
    with pytest.raises(OSError, match=r"this user has no home .* set JAXNN_CACHE to a folder"):
        fetch(file)
    (tmp_path / NAME).parent.mkdir()
    (tmp_path / NAME).write_bytes(ZIPPED)
    assert fetch(file) == CONTENT


def test_the_cache_folder_defaults_to_the_home(monkeypatch) -> None:
    monkeypatch.delenv("JAXNN_CACHE", raising=False)
    monkeypatch.setenv("HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/.cache/jaxnn")
