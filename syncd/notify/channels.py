"""The channels that notifications are sent to, through Apprise: mail, Teams, Slack and a hundred others."""

import logging
from collections.abc import Sequence
from hashlib import scrypt
from typing import Final

from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType
from pydantic import SecretStr

from syncd.core.alerts import Notification
from syncd.errors import ConfigurationError, NotTold

#: Apprise stores nothing on disk, and nothing of it keeps running after a message.
_ASSET: Final = AppriseAsset(app_id="syncd", app_desc="syncd", storage_mode="memory", async_mode=False)


class Channel:
    """One of ``notify.urls``. The URL may contain a password or be one, so no part of it is ever shown."""

    def __init__(self, number: int, url: SecretStr) -> None:
        # Apprise's own lines may say where a message went.
        logging.getLogger("apprise").disabled = True
        text = url.get_secret_value()
        service = Apprise.instantiate(text, asset=_ASSET)
        if service is None:
            raise ConfigurationError(
                f"notify.urls: Apprise does not recognise URL {number}. "
                "Each service has its own form, such as slack://… or mailto://…; see Apprise's documentation."
            )
        self._apprise = Apprise(asset=_ASSET)
        self._apprise.add(service)
        self.name: Final = f"URL {number} ({service.service_name})"
        """Its position in the configuration and the kind of service."""
        self.key: Final = _hash_of(text)
        """Its key in the state store."""

    def __repr__(self) -> str:
        return f"<Address {self.name}>"

    def send(self, notice: Notification, whose: str = "") -> None:
        """Send a notification; ``whose`` names the organisation, if there are several. Raises `NotTold`."""
        kind = NotifyType.SUCCESS if notice.is_over else NotifyType.WARNING
        title = f"syncd{whose and f' {whose}'}: {notice.title}"
        if not self._apprise.notify(notice.body, title=title, notify_type=kind, body_format=NotifyFormat.TEXT):
            raise NotTold(f"{self.name} of notify.urls cannot be reached, or did not accept the message.")


def channels_of(urls: Sequence[SecretStr]) -> list[Channel]:
    """The channel of each URL. Raises `ConfigurationError` for one that Apprise does not recognise."""
    return [Channel(number, url) for number, url in enumerate(urls, start=1)]


def _hash_of(url: str) -> str:
    """Hash a URL, slowly: the password in it may be easy to guess."""
    return scrypt(url.encode(), salt=b"syncd told", n=2**14, r=8, p=1, dklen=16).hex()
