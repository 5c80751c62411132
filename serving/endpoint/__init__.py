"""An OpenAI-compatible endpoint: HTTP, authentication and OpenAI's format. The caller provides the engine."""
