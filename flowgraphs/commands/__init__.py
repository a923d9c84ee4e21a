"""The subcommands of `osgp-sdr`, one file each; nothing heavy is imported before a command runs."""
