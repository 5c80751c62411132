"""What a stranger's files make a library do, tried first in a process of its own, under limits of time and memory."""
