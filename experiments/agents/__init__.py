"""Agents: an environment to act in, how to play in many copies of it at once, and how to learn from that."""
