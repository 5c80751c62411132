"""Puts this folder on the path: `made_up` serves every room."""
