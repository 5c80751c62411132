"""Settings and prompts that a user writes: a YAML file, and JSONL, JSON, CSV or parquet files of prompts next to it.

`schema.py` is the YAML file, `readers.py` how its replies are read, `rows.py` makes questions of rows, `setting.py` is
a setting on them, and `load.py` builds it from a file.
"""
