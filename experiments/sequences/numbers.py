"""Numbers below ten thousand in English words."""

SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
WORDS = (*SMALL, *TENS, "hundred", "thousand", "and")
LONGEST = 7  # words: seven thousand seven hundred and seventy seven


def in_words(value: int) -> list[str]:
    """A number as words.

    Raises:
        ValueError: it is not from 0 to 9,999.

    Example:
        >>> " ".join(in_words(4_017))
        'four thousand and seventeen'
    """
    if not 0 <= value < 10_000:
        raise ValueError(f"in_words: expected a number from 0 to 9,999, got {value}")
    if value < 20:
        return [SMALL[value]]
    words: list[str] = []
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if value >= size:
            words += [SMALL[value // size], name]
            value %= size
    if not value:
        return words
    words += ["and"] if words else []
    words += [TENS[value // 10 - 2]] if value >= 20 else []
    return words + ([SMALL[value % 10 if value >= 20 else value]] if value < 20 or value % 10 else [])
