"""The Brown corpus where its text is nowhere: the tagged edition is fetched once, checked and kept."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from experiments.data import brown
from experiments.data.download import RemoteFile

TEXT = b"The jury said .\n"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "brown.zip"
    with zipfile.ZipFile(path, "w") as parts:
        parts.writestr("brown/ca01", "\tThe/at jury/nn said/vbd ./.\n")
    file = RemoteFile("text/brown.txt.gz", len(TEXT), hashlib.sha256(TEXT).hexdigest(), ())
    monkeypatch.setattr(brown, "TEXT", file)
    monkeypatch.setattr(brown, "TAGGED", path.as_uri())
    monkeypatch.setenv("JAXNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("JAXNN_DATA", raising=False)
    return path


def test_it_is_fetched_once(archive: Path) -> None:
    assert brown.load_brown() == [["The", "jury", "said", "."]]
    archive.unlink()
    assert brown.load_brown() == [["The", "jury", "said", "."]]


def test_another_content_is_refused_and_not_kept(archive: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(archive, "w") as parts:
        parts.writestr("brown/ca01", "\tThe/at jury/nn sang/vbd ./.\n")
    with pytest.raises(ValueError, match="checksum mismatch"):
        brown.load_brown()
    assert not list((tmp_path / "cache").rglob("*.*"))


def test_the_error_says_where_to_put_it(archive: Path) -> None:
    archive.unlink()
    with pytest.raises(OSError, match=r"nor is \$JAXNN_DATA/text/brown\.txt\.gz, and file:"):
        brown.load_brown()
