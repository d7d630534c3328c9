"""The process and the machine: devices, processes, signals, console, log."""
