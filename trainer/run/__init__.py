"""One training run: the loop, checkpoints, the manifest, metrics, processes."""
