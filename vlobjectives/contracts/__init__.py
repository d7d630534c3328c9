"""What a plug-in promises and what the host promises it, one file a kind.

Import the names from `vlobjectives` itself; this package only groups them. Nothing is imported here, so that
finding plug-ins costs no torch.
"""
