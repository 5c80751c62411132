"""One file per setting that asks instructions: the policies of the bundled setting, on open-ended prompts."""
