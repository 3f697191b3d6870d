"""The state store: what syncd remembers, in one SQLite or PostgreSQL database.

Each module holds the queries of one idea as functions that take an open connection; the caller opens the transaction
and so decides what is committed together.
"""
