"""Names and how else they are written."""

import unicodedata
from collections.abc import Iterator
from itertools import product
from random import Random
from typing import Final

_FIRST: Final = (
    "Aisha", "Alexander", "Amelia", "Andrew", "Anthony", "Anwen", "Benjamin", "Bethany", "Callum", "Catherine",
    "Charlotte", "Chloë", "Christopher", "Dafydd", "Daniel", "David", "Deborah", "Edward", "Elif", "Elizabeth", "Emily",
    "Ewan", "Fatima", "Françoise", "Frederick", "Gareth", "Grace", "Gregory", "Hamza", "Hannah", "Inês", "Isabella",
    "Jacob", "Jakub", "James", "Jessica", "Jonathan", "Joseph", "Joshua", "José", "Jürgen", "Kamal", "Katherine",
    "Kofi", "Laura", "Lawrence", "Leila", "Leonard", "Lucy", "Małgorzata", "Margaret", "Mary Jane", "Matthew", "Megan",
    "Michael", "Mohammed", "Nathaniel", "Niamh", "Nicholas", "Nicola", "Oliver", "Olivia", "Oluwaseun", "Patricia",
    "Peter", "Philip", "Priya", "Rebecca", "Renée", "Richard", "Robert", "Samantha", "Samuel", "Seán", "Siobhán",
    "Sophie", "Stephen", "Susan", "Thomas", "Timothy", "Tomos", "Uzma", "Victoria", "Wei", "William", "Yusuf",
    "Zachary", "Zoë",
)  # fmt: skip
_SHORT: Final = {
    "Alexander": "Alex", "Andrew": "Andy", "Anthony": "Tony", "Benjamin": "Ben", "Bethany": "Beth",
    "Catherine": "Cath", "Charlotte": "Lottie", "Christopher": "Chris", "Daniel": "Dan", "David": "Dave",
    "Deborah": "Debbie", "Edward": "Ed", "Elizabeth": "Liz", "Frederick": "Fred", "Gregory": "Greg",
    "Isabella": "Bella", "Jacob": "Jake", "Jessica": "Jess", "Jonathan": "Jon", "Joseph": "Joe", "Joshua": "Josh",
    "Katherine": "Kate", "Lawrence": "Larry", "Leonard": "Len", "Margaret": "Maggie", "Matthew": "Matt",
    "Michael": "Mike", "Nathaniel": "Nat", "Nicholas": "Nick", "Nicola": "Nicky", "Oliver": "Ollie",
    "Patricia": "Pat", "Philip": "Phil", "Rebecca": "Becky", "Richard": "Rick", "Robert": "Rob",
    "Samantha": "Sam", "Samuel": "Sam", "Stephen": "Steve", "Susan": "Sue", "Thomas": "Tom", "Timothy": "Tim",
    "Victoria": "Vicky", "William": "Will", "Zachary": "Zac",
}  # fmt: skip
_ROOTS: Final = (
    "Ash", "Barn", "Beck", "Birch", "Black", "Brad", "Brook", "Burn", "Car", "Clay", "Cole", "Cran", "Dal", "Dun",
    "East", "Elm", "Fair", "Far", "Fen", "Green", "Hal", "Hart", "Haw", "Hol", "Kirk", "Lang", "Lin", "Mar", "Mill",
    "Nor", "Oak", "Penn", "Raw", "Red", "Rod", "Sand", "Stan", "Thorn", "Up", "Wal", "West", "Whit", "Win", "Wood",
)  # fmt: skip
_ENDS: Final = (
    "bourne", "bridge", "bury", "by", "combe", "cote", "dale", "den", "field", "ford", "ham", "hurst", "ington", "ley",
    "low", "man", "mere", "more", "ridge", "shaw", "stock", "stone", "ton", "ward", "well", "wick", "worth",
)  # fmt: skip
_OTHERS: Final = (
    "Adeyemi", "Çelik", "D'Souza", "de la Cruz", "Fernández", "Håkansson", "Kowalska", "MacDonald", "Müller",
    "Ní Bhriain", "Núñez", "O'Connor", "O'Neill", "Patel", "Sméth", "Smith", "Smith-Jones", "St. John", "Ünal",
    "van der Berg", "Yamaç", "Żak",
)  # fmt: skip
_LAST: Final = (*(root + end for root, end in product(_ROOTS, _ENDS)), *_OTHERS * 8)
#: Letters that Unicode does not take apart.
_BARE: Final = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O"})


def first_name(rng: Random) -> str:
    """A first name."""
    return rng.choice(_FIRST)


def last_name(rng: Random) -> str:
    """A last name, one of more than a thousand: some people in a college share theirs, most do not."""
    return rng.choice(_LAST)


def short_form(first: str) -> str | None:
    """What somebody of this name is called, if that is another name."""
    return _SHORT.get(first)


def names_with_short_form() -> Iterator[str]:
    """The first names that have one."""
    yield from _SHORT


def without_accents(name: str) -> str:
    """The name as it is typed on a keyboard that lacks them, and by a typist who leaves out the punctuation."""
    letters = unicodedata.normalize("NFKD", name.translate(_BARE))
    return letters.encode("ascii", "ignore").decode().replace("-", " ").replace("'", "")


def mailbox(*names: str) -> str:
    """Names as the part of an e-mail address before the @."""
    return ".".join("".join(filter(str.isalnum, without_accents(name))).lower() for name in names)
