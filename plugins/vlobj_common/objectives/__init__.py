"""Objectives that many papers share."""
