"""The command line: arguments -> one call -> show -> exit code. It decides nothing else."""
