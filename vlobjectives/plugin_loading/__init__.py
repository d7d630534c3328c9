"""Import plug-in code, contain what it does to the process, and attribute its errors to it."""
