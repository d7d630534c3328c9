"""What must be so before any test of this process."""

import torch

# Tests of runs fork this process. torch starts its backward threads, which no fork survives, at the first backward pass
# if it sees any device but the CPU then, a fake one of some test included: so the first one is here.
torch.ones(1, requires_grad=True).sum().backward()
