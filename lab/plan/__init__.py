"""A recipe becomes cells: reading, checking, and the content of each cell."""
