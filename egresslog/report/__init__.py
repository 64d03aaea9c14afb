"""Summaries: which records, grouped by what, measured how. Frames in, frames out."""
