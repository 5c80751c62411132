"""Readers: text in, the behaviors seen in it out. One file per kind of reply."""
