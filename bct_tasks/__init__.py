"""The settings: one file and one inspect task each. `bct_tasks.catalogue.load(name)` returns a setting."""
