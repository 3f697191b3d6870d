"""OneFile's error response: a status and a sentence (§14)."""

from http import HTTPStatus


class ApiError(Exception):
    """OneFile refuses a call; nothing has changed.

    Args:
        status: the HTTP status.
        message: the sentence in its body. Like OneFile's, it may repeat what was sent, including personal data.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def bad_request(message: str) -> ApiError:
    """Returns a 400, the usual refusal (§14)."""
    return ApiError(HTTPStatus.BAD_REQUEST, message)
