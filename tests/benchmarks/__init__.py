"""How fast it is: each measure beside its floor, taken in the same run."""
