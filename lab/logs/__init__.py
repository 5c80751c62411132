"""Inspect logs and hand labels become records. Imports no other package of the lab."""
