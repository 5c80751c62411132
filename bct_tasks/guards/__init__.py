"""Guards: abilities that training must preserve. Capability, and following unrelated system prompts."""
