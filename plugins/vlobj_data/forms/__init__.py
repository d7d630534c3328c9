"""Files that list pictures or clips with captions, in the forms that people write them in."""
