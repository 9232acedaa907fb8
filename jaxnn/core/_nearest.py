"""The end of a message about a name that does not exist: which one was meant, and which there are."""

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str:
    """Say which of ``names`` resembles ``name``, and list them, up to a dozen.

    Example:
        >>> nearest("dense_2", ["dense_0", "head"])
        "did you mean 'dense_0'? known: 'dense_0', 'head'"
    """
    listed = sorted(map(str, names))
    near = difflib.get_close_matches(name, listed, 1, 0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    shown = ", ".join(map(repr, listed[:12])) + (f" and {len(listed) - 12} more" if len(listed) > 12 else "")
    return f"{hint}known: {shown or 'none'}"
