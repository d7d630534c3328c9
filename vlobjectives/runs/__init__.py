"""Runs: started, resumed, trained, saved, evaluated, ended."""
