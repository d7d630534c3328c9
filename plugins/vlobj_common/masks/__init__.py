"""Masking strategies for patches and tokens."""
