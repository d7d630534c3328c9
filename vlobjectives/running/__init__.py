"""A plain loop on torch: build a system from a recipe, load data, step, save, resume, evaluate."""
