"""The settings: one file each. A file here with a `SETTING` is a setting; nothing else needs to know of it."""
