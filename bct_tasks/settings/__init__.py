"""The settings: one file each. A file here with a `SETTING` is a setting; it needs no registration.

The `options` of a task are `Any`, as they are those of `bct_tasks.task.bct_task`, which has their types.
"""
