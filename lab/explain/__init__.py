"""Why transfer happens: linear-regression theory with simulations, and the first-order test on checkpoints.

`theory` has the closed forms, `simulate` the same training in numpy, `studies` the numbers of the figures; `margin`
and `firstorder` read the checkpoints of a run; `page` writes explain.html and explain.json.
"""
