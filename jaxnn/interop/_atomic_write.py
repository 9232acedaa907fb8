"""Writing a file so that a reader, a crash or a second writer never sees half of it."""

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: str | Path, owner: str = "atomic_write") -> Iterator[Path]:
    """Give a temporary path beside ``path``; when the block ends without error, rename it onto ``path``.

    The temporary name is unique to this call, so that several processes may write the same file: the last
    rename wins, and every state in between is a whole file. The content reaches the disk before the name.

    Args:
        path: the file.
        owner: the function that messages name.

    Raises:
        OSError: of the kind that the system raised, and naming ``path``: its folder is missing or is a file,
            or nothing can be written there.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic_write(target) as temporary:
        ...     _ = temporary.write_text("whole")
        >>> target.read_text(), len(list(target.parent.iterdir()))
        ('whole', 1)
    """
    path = Path(path)
    # Without the name of the file, which may be as long as the file system allows.
    temporary = path.parent / f".{uuid.uuid4().hex}.part"
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise _told(owner, path, error) from error
    mode = temporary.stat().st_mode
    try:
        yield temporary
        # A writer that puts a file of its own at the temporary name (safetensors does) may make it private.
        temporary.chmod(mode)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        try:
            temporary.replace(path)
        except OSError as error:
            raise _told(owner, path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _told(owner: str, path: Path, error: OSError) -> OSError:
    return type(error)(error.errno, f"{owner}: cannot write {path}: {_cause(path, error)}")


def _cause(path: Path, error: OSError) -> str:
    """What is wrong with the folder of ``path``, and the remedy where the kind of ``error`` tells one."""
    folder = str(path.parent)
    if error.errno == errno.ENOENT:
        return f"there is no folder {folder!r}; make it first, with Path.mkdir(parents=True)"
    if error.errno == errno.ENOTDIR:
        file = next(parent for parent in path.parents if parent.exists())
        return f"{str(file)!r} is a file, not a folder; choose another folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{error.strerror} in the folder {folder!r}; choose one open to writing"
    return f"{error.strerror}"
