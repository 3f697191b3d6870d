"""A training provider, generated from an ILR return: its learners, its MIS, its OneFile, and what must follow."""
