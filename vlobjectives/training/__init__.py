"""Training steps: micro-batches forward and backward, the optimizer, the schedule."""
