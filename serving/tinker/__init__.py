"""Tinker, a service that trains LoRA adapters and samples them: the connection, and what a checkpoint there is.

Needs `pip install 'bct-tasks[tinker]'`; the package `tinker` is imported when it is used, not before.
"""
