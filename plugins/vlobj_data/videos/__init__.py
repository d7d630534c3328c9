"""Clips with captions: a manifest and a folder of video files, or of folders of frames."""
