"""The `bct` command, one file per command. The only room of the lab that knows click."""
