"""The embedded base model `mini`: how it is made, measured and described. Its weights are in `weights/`."""
