"""The settings: one file each. A file here with a `SETTING` is a setting; it needs no registration."""
