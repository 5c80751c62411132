"""Why transfer happens: linear-regression theory with simulations beside it, and the first-order test on checkpoints.

`theory` holds what can be computed exactly, `simulate` the training itself in numpy, `studies` the numbers of the
figures; `margin` and `firstorder` read the checkpoints of a run; `page` writes explain.html and explain.json.
"""
