"""The gate: is a setting a valid BCT setting, statically and on a model?"""
