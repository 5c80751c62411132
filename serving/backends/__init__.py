"""What computes replies: the in-process engine and vLLM."""
