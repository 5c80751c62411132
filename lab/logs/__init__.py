"""Inspect logs and labels made by hand become records. Imports no other room of the lab."""
