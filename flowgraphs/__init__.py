"""The running system: processes, sample streams, recordings, plots and the command line."""
