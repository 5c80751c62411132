"""The backend `tinker`: LoRA adapters trained by Tinker, on rows, tokens and an order that are made here."""
