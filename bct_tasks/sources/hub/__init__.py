"""Prompts from public data sets (`-T source=hub`). Without this option no data set is read.

`data.py` lists the data sets, `store.py` downloads and verifies their files, `rows.py` reads the files, and
`formats.py` converts rows to questions. `setting.py` is a setting on these questions; `settings/` has one file per
setting.
"""
