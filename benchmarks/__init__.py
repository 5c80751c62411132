"""What the lab promises about speed, measured: `make bench`, or one of them by `python -m benchmarks.NAME`."""
