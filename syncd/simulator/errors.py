"""OneFile's no: a status and a sentence (§14)."""

from http import HTTPStatus


class ApiError(Exception):
    """OneFile does not do what was asked; nothing has changed.

    Args:
        status: what the HTTP answer says.
        message: the sentence in its body. As with OneFile it may repeat what was sent, personal data too.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def bad_request(message: str) -> ApiError:
    """A 400, the usual no (§14)."""
    return ApiError(HTTPStatus.BAD_REQUEST, message)
