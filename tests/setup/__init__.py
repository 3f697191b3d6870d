"""The first hour: what ``init`` proposes for databases that it has never seen, and the recipes."""
