"""The database of the state store: tables, schema, encryption, locks, maintenance."""
