"""The real command line against a real MIS database and OneFile's stand-in."""
