"""What is asked: one file per setting, one inspect task each. `bct_tasks.catalogue.load(name)` gives a setting."""
