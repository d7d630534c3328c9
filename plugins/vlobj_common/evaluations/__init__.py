"""Evaluations that many papers share."""
