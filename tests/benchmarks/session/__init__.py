"""A recorded session with the real command line; see ``__main__``."""
