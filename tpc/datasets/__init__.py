"""Public data sets, read from the files that their authors give out."""
