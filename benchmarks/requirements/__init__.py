"""The rows of the table of receiver requirements R1 to R28, by subject."""
