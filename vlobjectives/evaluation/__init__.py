"""Held-out scores: the evaluation context, generation of text, evaluations that fail."""
