"""Balancers: what several objectives weigh against each other."""
