"""Records of calls under the names by which users know them."""

from typing import Any

from jaxnn.core import Call, listed_calls


def named_calls(records: dict[str, Any], outer: int = 0) -> list[tuple[str, Call]]:
    """Return ``(path, call)`` in the order in which calls ended.

    A child that was called more than once has ``"encoder[0]"``, ``"encoder[1]"``.

    Args:
        records: what ``split_records`` found.
        outer: how many names to leave out at the front of each path; shorter paths are left out.
    """
    calls = [entry for entry in listed_calls(records) if len(entry[0]) > outer]
    last = {path: number for path, number, _ in calls}
    return [
        (".".join(path[outer:]) + (f"[{number}]" if last[path] else ""), call) for path, number, call in calls
    ]


def is_leaf(path: str, paths: list[str]) -> bool:
    """Whether no other path lies below ``path``."""
    below = path.split("[")[0] + "."
    return not any(other.startswith(below) for other in paths)
