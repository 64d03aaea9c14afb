"""What happened: records of both hops -> pairs -> verdicts and findings. No I/O; SQL on a connection it is given."""
