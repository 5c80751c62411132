"""What is trained on: rows, labels, tokens, and a preview of them."""
