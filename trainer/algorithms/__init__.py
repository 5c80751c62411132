"""How a model is trained on a cell's prompts: supervised, on preferences, by rewards."""
