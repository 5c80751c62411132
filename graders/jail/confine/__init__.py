"""The inside of the jail: code that runs in separate processes, with only the standard library."""
