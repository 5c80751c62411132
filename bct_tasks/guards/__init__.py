"""Guards: what training must not break. Capability, and obedience to unrelated system prompts."""
