"""Start the command, pass on what happens to us, end as it ended."""
