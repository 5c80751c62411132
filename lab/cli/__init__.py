"""The `bct` command, one file per command. The only package of the lab that imports click."""
