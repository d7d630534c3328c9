"""What a recipe costs before anything runs: a shape check on fake tensors, FLOPs, memory, and the plan's table."""
