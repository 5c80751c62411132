"""The in-process engine: one worker thread, batches, a key-value cache, checkpoints swapped in memory."""
