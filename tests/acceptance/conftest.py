"""The site that most of these tests need."""

import pytest

from tests.harness.site import Site


@pytest.fixture
def site(tmp_path):
    """A site with a running server."""
    site = Site(tmp_path)
    site.start()
    yield site
    site.close()
