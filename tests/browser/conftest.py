"""One night and one browser for all tests of the console: each of them signs in anew."""

import pytest

from tests.harness.browser import Browser
from tests.harness.night import Night


@pytest.fixture(scope="session")
def night(tmp_path_factory):
    """A site with the jobs of a night."""
    night = Night(tmp_path_factory.mktemp("night"))
    night.start()
    night.fill()
    yield night
    night.close()


@pytest.fixture(scope="session")
def chromium():
    """A running browser."""
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium):
    """The browser without cookies, as wide as usual."""
    chromium.driver.delete_all_cookies()
    chromium.show()
    chromium.complaints()
    return chromium
