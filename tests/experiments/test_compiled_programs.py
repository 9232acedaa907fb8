"""Programs kept on disk: shared by processes, proof against torn and foreign entries, silent when it can't write."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings

from experiments.runner.compiled_programs import ProgramStore

KEY, PROGRAM = "jit_step-0a1b", bytes(range(256)) * 9

# Compiles eight programs, says whether their values are right and how many of them JAX found in the folder.
COMPILE = """
import sys
import jax, jax.numpy as jnp
import jax.monitoring
from experiments.runner.environment import enable_compilation_cache
found = []
jax.monitoring.register_event_listener(lambda name, **_: found.append(name.endswith("/cache_hits")))
enable_compilation_cache()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
print("ready", flush=True)
sys.stdin.readline()
for i in range(8):
    value = jax.jit(lambda x: x @ x + i)(jnp.ones((2, 2)))
    assert float(value[0, 0]) == 2.0 + i
print(sum(found))
"""


def start(cache: Path | str, **variables: str) -> subprocess.Popen[str]:
    """A process that waits for a line, and for which every warning is an error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment = {**kept, "JAX_PLATFORMS": "cpu", "JAXNN_CACHE": str(cache), **variables}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", COMPILE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def finish(process: subprocess.Popen[str]) -> int:
    """Let it run; how many programs it found."""
    out, err = process.communicate("\n")
    assert (process.returncode, err) == (0, "")
    return int(out.split()[-1])


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.program"))


def test_torn_entries_are_compiled_again_in_silence_and_mended(tmp_path: Path) -> None:
    folder = tmp_path / "compiled"
    assert finish(start(tmp_path)) == 0
    whole = {path.name: path.read_bytes() for path in entries(folder)}
    assert len(whole) >= 8
    for number, path in enumerate(entries(folder)):
        path.write_bytes([b"", path.read_bytes()[:-1], b"\0" * 5000, path.read_bytes()[:40]][number % 4])
    (folder / "0.part").write_bytes(b"left by a process that was killed")
    assert finish(start(tmp_path)) == 0
    assert {path.name for path in entries(folder)} == set(whole)
    assert finish(start(tmp_path)) == len(whole)


def test_processes_started_together_share_an_empty_folder(tmp_path: Path) -> None:
    together = [start(tmp_path) for _ in range(2)]
    for process in together:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in together:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    for process in together:
        finish(process)
    assert len(entries(tmp_path / "compiled")) >= 8
    assert not list((tmp_path / "compiled").glob("*.part"))


def test_a_folder_that_the_caller_chose_and_one_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    chosen = start(tmp_path, JAX_COMPILATION_CACHE_DIR=str(tmp_path / "chosen"))
    impossible = start(tmp_path / "file")
    assert finish(chosen) == finish(impossible) == 0
    assert entries(tmp_path / "chosen")
    assert not (tmp_path / "compiled").exists()


def test_a_user_without_a_home_keeps_nothing_and_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from experiments.runner import environment

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(environment, "cache_folder", homeless)
    monkeypatch.setattr(environment, "keep_compiled_programs", pytest.fail)
    monkeypatch.setattr("jax.config", object())
    environment.enable_compilation_cache()


def _cut(content: bytes, at: int) -> bytes:
    return content[: at % len(content)]


def _flip(content: bytes, at: int) -> bytes:
    at %= len(content)
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def _longer(content: bytes, at: int) -> bytes:
    return content + bytes(1 + at % 7)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(damage=st.sampled_from([_cut, _flip, _longer]), at=st.integers(0, 1 << 16))
@example(damage=_cut, at=0)
@example(damage=_flip, at=31)
@example(damage=_flip, at=32)
def test_a_damaged_entry_counts_as_absent_until_it_is_replaced(
    tmp_path: Path, damage: Callable[[bytes, int], bytes], at: int
) -> None:
    store = ProgramStore(tmp_path)
    store.put(KEY, PROGRAM)
    (entry,) = entries(tmp_path)
    entry.write_bytes(damage(entry.read_bytes(), at))
    assert store.get(KEY) is None
    store.put(KEY, PROGRAM)
    assert store.get(KEY) == PROGRAM


def test_an_entry_of_another_key_or_machine_counts_as_absent(tmp_path: Path) -> None:
    store = ProgramStore(tmp_path)
    store.put(KEY, PROGRAM)
    store.put(KEY + "c", PROGRAM[1:])
    first, second = entries(tmp_path)
    first.write_bytes(second.read_bytes())
    assert {store.get(KEY), store.get(KEY + "c")} < {None, PROGRAM, PROGRAM[1:]}
    other = ProgramStore(tmp_path)
    other._machine = b"another processor"
    assert other.get(KEY) is other.get(KEY + "c") is None


def test_a_long_name_an_empty_program_and_a_folder_in_the_place_of_an_entry(tmp_path: Path) -> None:
    store = ProgramStore(tmp_path / "a" / "b")
    for key in ("jit_" + "f" * 4000, "größe/../∂", KEY):
        assert store.get(key) is None
        store.put(key, b"")
        assert store.get(key) == b""
    entry = ProgramStore(tmp_path)._entry(KEY)
    entry.mkdir()
    ProgramStore(tmp_path).put(KEY, PROGRAM)
    assert ProgramStore(tmp_path).get(KEY) is None
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_what_a_killed_process_left_is_removed_after_an_hour(tmp_path: Path) -> None:
    old, young = tmp_path / "1.part", tmp_path / "2.part"
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    ProgramStore(tmp_path)
    assert (old.exists(), young.exists()) == (False, True)


def test_a_reader_sees_a_whole_program_while_others_write_it(tmp_path: Path) -> None:
    programs = [bytes([number]) * 300_000 for number in range(3)]
    stop = threading.Event()

    def write(program: bytes) -> None:
        store = ProgramStore(tmp_path)
        while not stop.is_set():
            store.put(KEY, program)

    store = ProgramStore(tmp_path)
    store.put(KEY, programs[0])
    writers = [threading.Thread(target=write, args=(program,)) for program in programs]
    for writer in writers:
        writer.start()
    seen = {store.get(KEY) for _ in range(200)}
    stop.set()
    for writer in writers:
        writer.join()
    assert seen <= set(programs)
