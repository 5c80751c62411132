"""One file per setting with hub data: the policies of the bundled setting, in words for a large model."""
