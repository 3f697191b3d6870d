"""Made-up people and their details. Telephone numbers and domains are those reserved for fiction."""

import random
import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

_FORENAMES: Final = (
    "Aisha", "Amelia", "Anwen", "Beyoncé", "Callum", "Chloë", "Dafydd", "Elif", "Ewan", "Fatima", "Gareth", "Grace",
    "Hamza", "Inês", "Jakub", "Jürgen", "Kofi", "Leila", "Llŷr", "Małgorzata", "Niamh", "Oluwaseun", "Priya", "Renée",
    "Seán", "Siobhán", "Tomos", "Uzma", "Wei", "Zoë",
)  # fmt: skip
_SURNAMES: Final = (
    "Adeyemi", "Ahmed", "Bakr-Williams", "Chowdhury", "D'Souza", "Davies", "de la Cruz", "Evans", "Fernández",
    "Gruffydd", "Hussain", "Iqbal", "Jones", "Kowalska", "Lloyd-Hughes", "MacDonald", "Nowak", "O'Connor", "Ó Briain",
    "Patel", "Quinn", "Rees", "Šimić", "Smith", "St. John", "Taylor", "Ünal", "van Dijk", "Walker", "Yamaç", "Zhang",
)  # fmt: skip
_STREETS: Final = ("Mill Lane", "St Anne's Road", "Heol y Bont", "Orchard Close", "Canal Street", "Priory Gardens")
_NINO_PREFIXES: Final = ("AB", "CE", "HK", "JG", "LM", "SW")


@dataclass(frozen=True, slots=True)
class Person:
    """The fields that every person has."""

    forename: str
    surname: str
    email: str
    telephone: str


class People:
    """Generates people from the random numbers of ``chance``."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def somebody(self, code: str, domain: str) -> Person:
        """Return a person; the code makes their e-mail address unique."""
        forename, surname = self._chance.choice(_FORENAMES), self._chance.choice(_SURNAMES)
        email = f"{_plain(forename)}.{_plain(surname)}.{code.lower()}@{domain}"
        return Person(forename, surname, email, self.telephone())

    def telephone(self) -> str:
        """Return a landline number."""
        return f"01632 960{self._chance.randrange(1000):03}"

    def mobile(self) -> str:
        """Return a mobile number."""
        return f"07700 900{self._chance.randrange(1000):03}"

    def born_on(self) -> date:
        """Return a date of birth for a learner of the 2020s."""
        return date(1998, 1, 1) + timedelta(days=self._chance.randrange(10 * 365))

    def address(self) -> str:
        """Return an address of three lines in one text."""
        house, street = self._chance.randrange(1, 200), self._chance.choice(_STREETS)
        return f"{house} {street}\nAshby Vale\nAV{self._chance.randrange(1, 10)} {self._chance.randrange(1, 10)}ZZ"

    def nino(self) -> str:
        """Return a National Insurance number in the right format."""
        digits = f"{self._chance.randrange(10**6):06}"
        return f"{self._chance.choice(_NINO_PREFIXES)}{digits}{self._chance.choice('ABCD')}"

    def uln(self) -> str:
        """Return a ULN: nine digits and a check digit; the weighted sum is 10 modulo 11."""
        while True:
            digits = [self._chance.randrange(1, 10), *(self._chance.randrange(10) for _ in range(8))]
            left = sum(weight * digit for weight, digit in zip(range(10, 1, -1), digits, strict=True)) % 11
            if left:
                return "".join(map(str, (*digits, 10 - left)))


def miscopied(uln: str) -> str:
    """Return the ULN with a wrong check digit."""
    return uln[:-1] + str((int(uln[-1]) + 1) % 10)


def _plain(name: str) -> str:
    """Return a name as it can be used in an e-mail address."""
    letters = unicodedata.normalize("NFKD", name.lower())
    return "".join(letter for letter in letters if letter.isascii() and letter.isalpha())
