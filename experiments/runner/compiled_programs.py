"""Compiled programs kept on disk, so that a second run starts at once, whatever else is done to the folder.

JAX's own store writes an entry in place and believes what it reads: a process that reads while another one
writes, or after one was killed, warns, and never mends the entry. Here an entry gets its name when it is
whole, and carries the digest of its content. One that fails it counts as absent: it is compiled again and
replaced, in silence.
"""

import hashlib
import os
import platform
import time
import uuid
from pathlib import Path
from typing import Any

_DIGEST_BYTES = 32
_SUFFIX, _UNFINISHED = ".program", ".part"
_ABANDONED_SECONDS = 3600.0


def keep_compiled_programs(folder: str | Path, min_compile_seconds: float) -> None:
    """Let JAX keep in ``folder`` each program that takes at least ``min_compile_seconds`` to compile.

    The folder is made when the first program is kept; where nothing can be written, nothing is kept.

    Args:
        folder: where the programs lie; any number of processes may share it.
        min_compile_seconds: programs that compile faster aren't worth a file.
    """
    import jax

    if share_store():
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", min_compile_seconds)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def share_store() -> bool:
    """Put ``ProgramStore`` in the place of JAX's store of local folders without a limit to their size.

    Returns:
        Whether this version of JAX has the place; one that hasn't compiles anew in each process.
    """
    from jax._src import compilation_cache

    theirs = getattr(compilation_cache, "get_file_cache", None)
    if theirs is None or getattr(theirs, "shares_store", False):
        return theirs is not None

    def ours(path: str) -> Any:
        import jax

        limited = getattr(jax.config, "jax_compilation_cache_max_size", -1) != -1
        return theirs(path) if limited or "://" in path else (ProgramStore(path), path)

    vars(ours)["shares_store"] = True
    compilation_cache.get_file_cache = ours
    return True


class ProgramStore:
    """A folder of compiled programs by key, with the two methods that JAX calls.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: str | Path) -> None:
        self._path = Path(folder)
        self._machine = _machine()
        self._remove_abandoned()

    def get(self, key: str) -> bytes | None:
        """The program kept under ``key``, or ``None`` if it is absent or not whole."""
        try:
            content = self._entry(key).read_bytes()
        except OSError:
            return None
        digest, program = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        return program if digest == self._digest(key, program) else None

    def put(self, key: str, value: bytes) -> None:
        """Keep a program under ``key``, in the place of what is there; not if the folder can't store it."""
        unfinished = self._path / f"{uuid.uuid4().hex}{_UNFINISHED}"
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            try:
                unfinished.write_bytes(self._digest(key, value) + value)
                unfinished.replace(self._entry(key))
            finally:
                unfinished.unlink(missing_ok=True)
        except OSError:
            return

    def _entry(self, key: str) -> Path:
        """Named by a hash: a key begins with a function's name, which may be longer than a file's can be."""
        return self._path / f"{self._digest(key, b'').hex()}{_SUFFIX}"

    def _digest(self, key: str, program: bytes) -> bytes:
        """Of the machine too: a program for another processor may hold instructions that this one lacks."""
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        for part in (self._machine, key.encode(), program):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()

    def _remove_abandoned(self) -> None:
        """Delete what processes that were killed while they wrote have left behind."""
        try:
            for part in self._path.glob(f"*{_UNFINISHED}"):
                if time.time() - part.stat().st_mtime > _ABANDONED_SECONDS:
                    part.unlink(missing_ok=True)
        except OSError:
            return


def _machine() -> bytes:
    """The kind of processor and what it can do, where the system tells it."""
    try:
        with Path("/proc/cpuinfo").open("rb") as file:
            lines = file.read(1 << 14).splitlines()
    except OSError:
        lines = []
    able = next((line for line in lines if line.lower().startswith((b"flags", b"features"))), b"")
    return f"{os.name} {platform.machine()} ".encode() + able
