"""The pure core: what OneFile's fields are, what a row means, what to change, and whether it may run.

Nothing here reads a file, a clock, a database or a socket; it takes values and returns values.
"""
