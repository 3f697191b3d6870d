"""The configuration: blanks, line ends and byte order marks, which come with copying and with editors."""

from pathlib import Path

import httpx
import pytest

from syncd.errors import ConfigurationError
from syncd.settings import configuration_file, load_settings
from syncd.wiring.onefile import open_onefile
from tests.support.configuration import GOOD, Configuration

_TOKEN = "zz-customer-token"
_BOM = "\ufeff"
_AROUND = [" {}", "{} ", "{}\n", "{}\r\n", "\t{}\r", "\n\n{}\n\n", f"{_BOM}{{}}", f"{_BOM}{{}}\r\n", "\xa0{}\u200b"]


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    return Configuration(tmp_path, monkeypatch)


@pytest.mark.parametrize("around", _AROUND)
@pytest.mark.parametrize("way", ["environment", "file", "file in the environment", "toml"])
def test_token_is_taken_without_what_surrounds_it(configuration: Configuration, around: str, way: str) -> None:
    text = around.format(_TOKEN)
    configuration.folder.joinpath("token").write_bytes(text.encode())
    section = {"[onefile]": GOOD["[onefile]"]}
    variables: dict[str, str] = {}
    match way:
        case "environment":
            variables["SYNCD_ONEFILE__CUSTOMER_TOKEN"] = text
        case "file":
            section["[onefile]"] += '\ncustomer_token_file = "token"'
        case "file in the environment":
            variables["SYNCD_ONEFILE__CUSTOMER_TOKEN_FILE"] = around.format("token").replace(_BOM, "")
        case _:
            section["[onefile]"] += (
                f'\ncustomer_token = """{text}"""' if "\r" not in text else f"\ncustomer_token = '{_TOKEN} '"
            )

    token = configuration.load(section, **variables).onefile.customer_token.get_secret_value()

    assert token == _TOKEN
    httpx.Request("POST", "http://localhost", headers={"X-CustomerToken": token})


@pytest.mark.parametrize("around", _AROUND)
@pytest.mark.parametrize("section", ["source", "state"])
def test_url_in_a_file_is_taken_without_what_surrounds_it(
    configuration: Configuration, around: str, section: str
) -> None:
    url = "postgresql+psycopg://reader@mis/db"
    configuration.folder.joinpath("url").write_bytes(around.format(url).encode())
    given = configuration.load({f"[{section}]": 'url_file = "url"'})
    assert getattr(given, section).url.get_secret_value() == url

    given = configuration.load({f"[{section}]": ""}, **{f"SYNCD_{section}__URL".upper(): around.format(url)})
    assert getattr(given, section).url.get_secret_value() == url


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_file_may_begin_with_a_byte_order_mark(configuration: Configuration, ends: str) -> None:
    text = "\n".join(f"{head}\n{keys}" for head, keys in GOOD.items())
    configuration.file.write_bytes(f"{_BOM}{text}\n".replace("\n", ends).encode())

    assert load_settings(configuration.file).onefile.organisation_id == 5740


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252"])
def test_file_in_another_encoding_is_refused_in_a_sentence(configuration: Configuration, encoding: str) -> None:
    text = "\n".join(f"{head}\n{keys}" for head, keys in GOOD.items())
    configuration.file.write_bytes(f"# é\n{text}".encode(encoding))

    with pytest.raises(ConfigurationError, match="not UTF-8 text"):
        load_settings(configuration.file)


def test_other_values_and_the_name_of_the_file_are_trimmed(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = configuration.load(
        {"[schedule]": 'poll = " 1h "'}, SYNCD_ONEFILE__ENVIRONMENT=" live\n", SYNCD_SCHEDULE__TIMEZONE="UTC\r\n"
    )
    assert (given.schedule.poll, given.onefile.environment, given.schedule.timezone) == ("1h", "live", "UTC")
    monkeypatch.setenv("SYNCD_CONFIG", " college.toml\r\n")
    assert configuration_file() == Path("college.toml")


@pytest.mark.parametrize("token", ["two words", "to\nken", "tökén", "to\x1bken", "to\ufeffken", "to\u200bken"])
def test_token_that_no_header_can_hold_is_refused_in_a_sentence_without_it(token: str) -> None:
    with (
        pytest.raises(ConfigurationError, match="holds characters that none has") as refusal,
        open_onefile("http://127.0.0.1:1", token),
    ):
        pass
    assert token not in str(refusal.value)
