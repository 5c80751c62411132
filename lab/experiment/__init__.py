"""A run folder and what fills it: organisms, training, evaluation, on this machine or on Ray."""
