"""Puts this folder on the path: `effort` and `injections` serve every room."""
