"""The gate: is a setting a valid BCT setting, by itself and on a model?"""
