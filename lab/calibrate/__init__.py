"""The quality of graders: hand-labelled replies, their agreement with graders, and labelled samples of a run."""
