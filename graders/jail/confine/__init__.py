"""The inside of the jail: code that runs in processes of its own, with nothing but the standard library."""
