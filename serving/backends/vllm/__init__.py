"""vLLM as a backend: its server, and the folders it is given."""
