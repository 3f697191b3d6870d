"""People who live over years, the MIS rows that show them, and the OneFile accounts that are made for them.

A `Person` is who somebody truly is. An MIS (`mis`) shows people under keys, and may give a key to another person or a
person another key; OneFile has accounts. `accounts` knows at any time which person an account belongs to, and so can
check that no person has two accounts and that no account has the data of two people.
"""
