"""Error-rate campaigns: a specification in TOML, work units in any number of processes, a directory that survives a power cut."""
