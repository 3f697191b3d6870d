"""Choose the OneFile environment, the organisation, and defaults for references that the MIS lacks."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import typer
from pydantic import ValidationError

from syncd.cli.init.prompts import TOKEN_VARIABLE, InitAnswers, InitOptions, Prompter
from syncd.core.fields import Role
from syncd.errors import ConfigurationError, OneFileError
from syncd.onefile import OneFile
from syncd.secret_file import read_secret_file, trimmed
from syncd.settings import DefaultsSettings, Environment, OneFileSettings
from syncd.setup.schema import Feed, field_of
from syncd.wiring.onefile import open_onefile

_MOST_SHOWN: Final = 20
_DEFAULTED: Final = {"ClassroomID": "classroom", "PlacementID": "placement", "DefaultAssessorID": "assessor"}
#: Common names of the placement for learners without a placement.
_NO_OTHER: Final = (
    "default",
    "no placement",
    "no employer",
    "in-house",
    "at college",
    "not placed",
    "unplaced",
    "none",
)


def choose_onefile(
    options: InitOptions, prompter: Prompter, answers: InitAnswers, stack: ExitStack
) -> tuple[OneFile | None, int | None]:
    """Return OneFile, if its address and a token are known, and the organisation. Raises `SyncdError`."""
    where: dict[str, str] = {"base_url": options.base_url} if options.base_url else {}
    if not where and (options.environment or prompter.is_answered):
        names = [str(each) for each in Environment]
        where["environment"] = options.environment or prompter.one_of(
            f"\nWhich environment of OneFile: {', '.join(names)}?", names, Environment.PRACTICE
        )
    answers.values |= {("onefile", key): value for key, value in where.items()}
    token, organisation_id, onefile = _token(options, prompter, answers), options.organisation, None
    if token and where:
        try:
            onefile = stack.enter_context(open_onefile(_url(where), token))
            organisation_id = _organisation(onefile, options, prompter, answers)
        except OneFileError as problem:
            if not prompter.is_answered:
                raise
            onefile = None
            typer.echo(str(problem))
    if not token:
        left = f"Put OneFile's customer token into {TOKEN_VARIABLE}, or into a file named by customer_token_file."
        answers.left.insert(0, left)
    if organisation_id is None and prompter.is_answered:
        said = prompter.text("The number of your organisation in OneFile (Enter if you do not know it)")
        organisation_id = int(said) if said.isdecimal() else None
    if organisation_id is None:
        answers.left.append("Set onefile.organisation_id in syncd.toml; OneFile's support knows it.")
    else:
        answers.values["onefile", "organisation_id"] = organisation_id
    return onefile, organisation_id


def _url(where: Mapping[str, str]) -> str:
    """Return OneFile's URL, if a secret may be sent to it. Raises `ConfigurationError`."""
    try:
        return OneFileSettings.model_validate({"organisation_id": 1, **where}).url
    except ValidationError as problems:
        what = problems.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"--base-url: {what}.") from None


def _token(options: InitOptions, prompter: Prompter, answers: InitAnswers) -> str:
    file = str(options.customer_token_file or os.environ.get(f"{TOKEN_VARIABLE}_FILE", ""))
    if not file and os.environ.get(TOKEN_VARIABLE):
        return trimmed(os.environ[TOKEN_VARIABLE])
    if not file:
        file = prompter.text(f"A file with OneFile's customer token (Enter for none; or set {TOKEN_VARIABLE})")
    if not file:
        return ""
    try:
        token = trimmed(read_secret_file(Path(file)))
    except ValueError as problem:
        raise ConfigurationError(f"The customer token: {problem}.") from None
    if options.customer_token_file or not os.environ.get(f"{TOKEN_VARIABLE}_FILE"):
        answers.values["onefile", "customer_token_file"] = str(Path(file).absolute())
    return token


def _organisation(onefile: OneFile, options: InitOptions, prompter: Prompter, answers: InitAnswers) -> int:
    there = {str(one.id): one for one in onefile.organisations()}
    listed = ", ".join(f"{number} ({one.name})" for number, one in there.items())
    if options.organisation is not None:
        return onefile.organisation(options.organisation).id
    if not there:
        raise ConfigurationError("The customer token has access to no organisation. Ask OneFile's support.")
    if len(there) > 1 and not prompter.is_answered:
        raise ConfigurationError(
            f"The customer token has access to several organisations; name one with --organisation: {listed}."
        )
    typer.echo(f"OneFile answers. The customer token has access to {listed}.")
    number = next(iter(there))
    if len(there) > 1:
        number = prompter.one_of("Which organisation?", list(there), number)
        answers.left.append(
            "If the feeds have several organisations: set onefile.organisations in syncd.toml, and add the column "
            "OrganisationID to each feed."
        )
    return there[number].id


def choose_defaults(
    options: InitOptions,
    prompter: Prompter,
    answers: InitAnswers,
    learners: Feed | None,
    onefile: OneFile | None,
    organisation_id: int | None,
) -> None:
    """Choose the defaults for learners without a class, placement or assessor in the MIS."""
    known = DefaultsSettings.model_fields
    for said in options.defaults:
        key, _, value = (part.strip() for part in said.partition("="))
        if key not in known or not value or (key.endswith("_id") and not value.isdecimal()):
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near and near[0] != key else f"such as {', '.join(known)}."
            raise ConfigurationError(f"--default: {key!r} is not a key with a valid value, as KEY=VALUE; {hint}")
        answers.values["defaults", key] = int(value) if key.endswith("_id") else value
    for field_name, what in _DEFAULTED.items():
        if learners is None or any(key.startswith(what) for section, key in answers.values if section == "defaults"):
            continue
        source = next((one for one in learners.supplied if field_of(one.name) == field_name and not one.off), None)
        if source and source.table == learners.table and not source.columns[0].look.has_gaps:
            continue
        names = _there(onefile, what, organisation_id)
        proposed = _stand_in(what, names, is_needed=source is None)
        scope = "all learners, because the MIS names none" if source is None else "learners for whom the MIS names none"
        if names and prompter.is_answered:
            typer.echo(
                f"OneFile has: {', '.join(list(names)[:_MOST_SHOWN])}{', …' if len(names) > _MOST_SHOWN else ''}"
            )
        answer = prompter.text(f"Which {what} for {scope}? Its name, MISID or OneFile's id (Enter for none)", proposed)
        if answer:
            answers.values["defaults", names.get(answer, _key_of(what, answer))] = (
                int(answer) if names.get(answer, _key_of(what, answer)).endswith("_id") else answer
            )
        elif source is None:
            answers.left.append(f"Supply each learner's {what}: a column of learners.sql, or a key in [defaults].")


def _key_of(what: str, answer: str) -> str:
    return f"{what}_{'id' if answer.isdecimal() else 'misid'}"


def _there(onefile: OneFile | None, what: str, organisation_id: int | None) -> Mapping[str, str]:
    """Return the choices in OneFile, each with its key of ``[defaults]``: places by name, assessors by MISID or id."""
    if onefile is None or organisation_id is None:
        return {}
    if what == "assessor":
        users = onefile.users(organisation_id, Role.ASSESSOR)
        return {user.misid or str(user.id): "assessor_misid" if user.misid else "assessor_id" for user in users}
    role = {"classroom": Role.CLASSROOM, "placement": Role.PLACEMENT}[what]
    names = [one.name for one in onefile.places(role, organisation_id)]
    return {name: f"{what}_name" for name in names if names.count(name) == 1}


def _stand_in(what: str, names: Mapping[str, str], *, is_needed: bool) -> str:
    """Return the choice to propose: the only one, or a placement with a name such as "no placement"."""
    if what == "placement" and (like := [name for name in names if name.lower().startswith(_NO_OTHER)]):
        return like[0]
    return next(iter(names)) if is_needed and len(names) == 1 else ""
