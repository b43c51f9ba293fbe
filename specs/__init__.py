"""The house catalog: one file per family of functions, one block per function."""
