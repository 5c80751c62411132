"""The backend `tinker`: checkpoints at Tinker, and bases that it serves, answer by its samplers."""
