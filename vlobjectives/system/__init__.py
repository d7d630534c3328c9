"""The model of a recipe as an nn.Module: assembled, averaged, saved, started from other weights."""
