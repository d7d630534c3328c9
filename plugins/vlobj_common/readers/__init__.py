"""Readers that objectives of this package need."""
