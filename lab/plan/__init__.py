"""A recipe becomes cells: reading, checking, and what each cell is made of."""
