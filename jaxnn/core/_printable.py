"""Text that standard output can show, whatever its encoding."""

import sys

# One character for one where it stands in columns, so that they stay aligned.
_PLAIN = str.maketrans({**dict(zip("─│→…δ∂Σ⊙ᵀ", "-|>.DdS*'", strict=True)), "±": "+-"})


def printable(text: str) -> str:
    """Return ``text``, in plain ASCII where standard output can't encode it.

    A console of Windows, or a process without a locale, would otherwise fail by what it is only told.

    Example:
        >>> printable("loss 0.1")
        'loss 0.1'
    """
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return text.translate(_PLAIN).encode("ascii", "backslashreplace").decode("ascii")
    return text
