"""A recipe with its plug-ins: the class and the typed Config of every entry, absolute paths."""
