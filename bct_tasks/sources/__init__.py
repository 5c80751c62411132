"""Where questions come from: `world` (bundled, generated) and `hub` (public data sets)."""
