"""`bct serve`: an OpenAI-compatible endpoint over a backend."""
