"""Open-ended everyday instructions, bundled (`-T source=instructions`): any coherent reply will do, its manner counts.

`templates.py`, `topics.py` and `spanish.py` hold the text, `questions.py` combines them. `setting.py` is a setting on
these questions; `settings/` has one file per setting.
"""
