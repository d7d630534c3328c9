"""From sources to batches: readers, collation, normalization, streams, loading."""
