"""Forms of first names in Britain: "Maggie" may be Margaret, and "Muhammad" is written in many ways.

Only forms that cannot be seen from the letters are listed; `evidence` knows that "Tom" may be Thomas without a list.
"""

from typing import Final

#: A line is a name, its spellings and its short forms, folded as `evidence.fold` does: "ollie" is in two lines, because
#: Oliver and Olivia may be twins.
_GROUPS: Final = tuple(
    tuple(group.split())
    for group in """
    abigail abby gail
    alexander sandy sasha lex
    alexandra sandy sasha lexi
    amanda mandy
    andrew andy drew
    anthony antony tony
    antonia toni
    barbara babs barbie
    catherine katherine kathryn katharine cathy kathy kate katie cath kath kitty
    charles charlie chuck
    charlotte charlie lottie
    christina tina chrissie
    christine chrissie
    christopher kit kris
    daniel danny
    david dave davy
    deborah debra debbie
    edward eddie ted teddy ned
    eleanor ellie nell nellie
    elizabeth elisabeth liz lizzie beth betty bess libby elsie
    frances fran frankie
    francis frankie
    frederick fred freddie freddy
    geoffrey jeffrey jeff
    harold harry hal
    harrison harry
    helen nell nellie
    henry harry hal
    isabel isabelle izzy bella
    isabella izzy bella
    jacob jake
    james jim jimmy jamie
    jennifer jenny
    jessica jessie
    john jack johnny
    jonathan jonny johnny
    joseph joey
    joshua josh
    judith judy
    kathleen kathy kath katie
    kenneth kenny
    lawrence laurence larry laurie
    leonard lenny
    madeleine madeline maddie maddy
    madison maddie maddy
    margaret maggie meg peggy
    mary molly polly
    matthew matty
    michael mike mick micky mickey
    mohammed mohammad mohamed mohamad muhammad muhammed muhamed mohd
    nathan nate
    nathaniel nate
    nicholas nick nicky nico
    nicola nicky nikki
    nicole nicky nikki
    oliver ollie olly
    olivia ollie olly livvy
    patricia patty trish
    patrick paddy
    penelope penny
    peter pete
    philip phillip pip
    rebecca rebekah becky becca beccy
    richard rick ricky richie dick
    robert robbie bob bobby bert
    ronald ronnie
    rosemary rosie
    samantha sammy
    samuel sammy
    sarah sara sally
    stephanie steph stevie
    stephen steven steve stevie
    susan sue susie suzy
    susannah susie suzy
    suzanne susie suzy
    terence terry
    teresa theresa terry
    theodore ted teddy
    thomas tommy
    timothy timmy
    victoria vicky vicki tori
    william bill billy willie liam
    yusuf yousef yousuf
    zachary zack zak
    """.strip().splitlines()
)
_GROUPS_OF: Final = {
    name: frozenset(number for number, group in enumerate(_GROUPS) if name in group)
    for group in _GROUPS
    for name in group
}
_NONE: Final[frozenset[int]] = frozenset()


def are_forms(one: str, other: str) -> bool:
    """Whether two folded first names may be forms of one name."""
    return not _GROUPS_OF.get(one, _NONE).isdisjoint(_GROUPS_OF.get(other, _NONE))
