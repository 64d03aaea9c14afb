"""What a line means: operators and columns, formats, the catalogue, envelopes, the parser. No I/O."""
