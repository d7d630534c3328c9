"""Photos with captions: a manifest and a folder of pictures."""
