"""How good graders are: labelled replies, agreement, and hand-labelled samples of a run."""
