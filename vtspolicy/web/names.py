"""By which names the web endpoints may be asked for (DNS rebinding)."""

from collections.abc import Collection
from http import HTTPStatus
from ipaddress import ip_address

from vtspolicy.web.answers import Mistake


def look_at_name(asked: str | None, names: Collection[str]) -> None:
    """Refuse a request for a name that is not ours, such as a web page's own (DNS rebinding).

    An address is always ours: no page can be loaded under it but from here.
    """
    if asked is None:  # no browser leaves it out
        return
    name = asked[1:].partition("]")[0] if asked.startswith("[") else asked.partition(":")[0]
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        if name.rstrip(".").lower() not in {each.lower() for each in names}:
            raise Mistake(
                HTTPStatus.FORBIDDEN,
                "this server is not asked for by that name",
                "use its address or node name, or add the name to web_names",
            ) from None
