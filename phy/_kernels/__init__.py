"""The only compiled code of the project: arrays and scalars in, new state out."""
