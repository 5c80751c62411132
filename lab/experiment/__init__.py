"""A run folder and the jobs that fill it: organisms, training, evaluation, on this machine or on Ray."""
