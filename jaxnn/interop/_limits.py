"""The reader's limits of a safetensors file, which the writer keeps too: what is written is read."""

# Some 100,000 arrays. Parsing takes ten times as much memory, which nothing but the header's length bounds.
LONGEST_HEADER = 10_000_000
# NumPy before 2 has no more axes.
MOST_AXES = 32
# Trees as deep as a hostile name can be would overflow the stack of who walks them.
MOST_PARTS = 32
# How many dicts the names may make: those of a hostile file could make a hundred times its size. No tree of a
# model comes near.
_DICTS_PER_ARRAY = 4
_FEW_DICTS = 1000


def check_header_length(length: int) -> None:
    """Raise if the header is too long."""
    if length > LONGEST_HEADER:
        raise ValueError(
            f"its header has {length} bytes; no more than {LONGEST_HEADER} are allowed, some 100,000 arrays"
        )


def check_parts(name: str, parts: int) -> None:
    """Raise if a name has too many parts between its dots."""
    if parts > MOST_PARTS:
        raise ValueError(f"the name {name[:80]!r} has more than {MOST_PARTS} parts")


def check_axes(name: str, axes: int) -> None:
    """Raise if an array has too many axes."""
    if axes > MOST_AXES:
        raise ValueError(f"the array {name[:80]!r} has {axes} axes; no more than {MOST_AXES} are allowed")


def check_dicts(dicts: int, arrays: int) -> None:
    """Raise if the names of so many arrays make too many dicts."""
    if dicts > _FEW_DICTS + _DICTS_PER_ARRAY * arrays:
        raise ValueError(
            f"the names of its {arrays} arrays make more than {_DICTS_PER_ARRAY} dicts for each; rename them "
            "with fewer dots"
        )
