"""From views to passes: which passes run, in which order, who asked for each, and what they cost."""
