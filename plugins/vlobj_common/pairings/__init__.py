"""Pairings: which wrong pairs a matching objective sees."""
