"""A sweep: one recipe, rows that change it, seeds; trained one after the other, ended with a table."""
