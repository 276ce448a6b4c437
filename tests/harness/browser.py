"""A real Chromium, driven as a person would drive it."""

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.harness.night import PASSWORD

WIDE = 1280
NARROW = 390
TIMEOUT = 30  # seconds until a page that does not come is given up

_QUIET = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
    *("--disable-quic", "--disable-dev-shm-usage"),
)


class Browser:
    """One browser with an empty profile."""

    def __init__(self):
        options = ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for each in (*_QUIET, f"--window-size={WIDE},900"):
            options.add_argument(each)
        self.driver = Chrome(options=options, service=ChromeService("/usr/bin/chromedriver"))
        self.driver.set_page_load_timeout(TIMEOUT)

    def go(self, address):
        self.driver.get(address)

    @property
    def text(self):
        """What a person reads on the page."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    @property
    def path(self):
        return "/" + self.driver.current_url.split("/", 3)[3]

    def find(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def fill(self, css, text):
        field = self.find(css)
        field.clear()
        field.send_keys(text)

    def click(self, css):
        """Click, and wait for the page that follows."""
        before = self.find("html")
        self.find(css).click()
        WebDriverWait(self.driver, TIMEOUT).until(lambda _: _is_gone(before))

    def follow(self, words):
        """Follow the link with these words."""
        before = self.find("html")
        self.driver.find_element(By.LINK_TEXT, words).click()
        WebDriverWait(self.driver, TIMEOUT).until(lambda _: _is_gone(before))

    def sign_in(self, night, name):
        self.go(night.address)
        self.fill("input[name=name]", name)
        self.fill("input[name=password]", PASSWORD)
        self.click("main button")

    def show(self, *, width=WIDE, dark=False):
        """Show pages as wide as this, and in light or dark colours."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def run(self, script, *values):
        return self.driver.execute_script(script, *values)

    def complaints(self):
        """Return what the browser has complained of: what the policy forbids, what is not there."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def close(self):
        self.driver.quit()


def _is_gone(element):
    try:
        element.is_enabled()
    except WebDriverException:  # stale, or the page is being replaced
        return True
    return False
