"""Public data sets as prompts: `-T source=hub` on the settings that name one. Nothing is read unless that is asked for.

`data.py` names the data sets (revision, licence, size), `store.py` fetches, checks and reads their files, `formats.py`
makes questions of their rows, `setting.py` is a setting that asks them, `settings/` holds one file per setting.
"""
