"""Words that show what vectors know: groups for a map, words to look around, and analogies."""

from itertools import permutations

GROUPS = {
    "months": ("january", "february", "march", "april", "june", "july", "august", "september", "october"),
    "numbers": ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    "family": ("mother", "father", "sister", "brother", "wife", "husband", "son", "daughter", "uncle"),
    "body": ("hand", "arm", "head", "face", "eyes", "mouth", "shoulder", "finger", "hair"),
    "learning": ("student", "teacher", "school", "college", "university", "education", "class", "library"),
    "war": ("army", "troops", "enemy", "battle", "soldiers", "weapons", "military", "officers"),
    "music": ("music", "song", "jazz", "piano", "orchestra", "dance", "concert", "symphony"),
}
AROUND = ("president", "river", "music", "france", "money", "three", "she", "green")

_PLURALS = (
    ("car", "cars"), ("hand", "hands"), ("student", "students"), ("year", "years"), ("boy", "boys"),
    ("girl", "girls"), ("school", "schools"), ("book", "books"), ("tree", "trees"), ("friend", "friends"),
)  # fmt: skip
_PASTS = (
    ("go", "went"), ("see", "saw"), ("take", "took"), ("come", "came"), ("say", "said"), ("know", "knew"),
    ("find", "found"), ("give", "gave"), ("think", "thought"), ("tell", "told"),
)  # fmt: skip
_COMPARATIVES = (
    ("large", "larger"), ("small", "smaller"), ("high", "higher"), ("long", "longer"), ("great", "greater"),
    ("low", "lower"), ("old", "older"), ("young", "younger"),
)  # fmt: skip
_FAMILY = (
    ("man", "woman"), ("boy", "girl"), ("he", "she"), ("his", "her"), ("father", "mother"),
    ("brother", "sister"), ("son", "daughter"), ("husband", "wife"), ("himself", "herself"),
    ("king", "queen"),
)  # fmt: skip
_PAIRS = {"plurals": _PLURALS, "past tenses": _PASTS, "comparatives": _COMPARATIVES, "man and woman": _FAMILY}
ANALOGIES = {
    name: [(*first, *second) for first, second in permutations(pairs, 2)] for name, pairs in _PAIRS.items()
}
"""By kind, all quartets: ``a`` is to ``b`` as ``c`` is to ``d``."""
