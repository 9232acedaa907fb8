"""Models of characters: streams of a text, models that read them on and on, and what they write."""
