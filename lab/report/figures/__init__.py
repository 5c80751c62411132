"""The figures, one file per kind, as matplotlib figures; `gallery` lists all figures of a run."""
