"""An OpenAI-compatible endpoint: HTTP, authentication and OpenAI's format. What answers is given to it."""
