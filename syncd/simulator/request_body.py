"""Reads the body of a request: JSON or a form (§4)."""

import json
from urllib.parse import parse_qsl

from syncd.simulator.endpoints import Body


def read_body(content: bytes, content_type: str) -> Body:
    """Reads a body by its Content-Type; the endpoint refuses a body that is invalid JSON."""
    text = content.decode("utf-8", errors="replace")
    if not text.strip():
        return Body()
    if content_type.lower().startswith("application/x-www-form-urlencoded"):
        return Body(dict(parse_qsl(text, keep_blank_values=True)), is_form=True)
    try:
        return Body(json.loads(text))
    except ValueError:
        return Body(is_readable=False)
