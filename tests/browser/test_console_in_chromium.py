"""People at the console, in a real Chromium, against a real server with the jobs of a night."""

import pytest

from tests.harness.browser import NARROW, WIDE

pytestmark = pytest.mark.programs

PAGES = (
    *("/", "/requests", "/requests/1", "/requests/201", "/jobs", "/jobs/5", "/jobs/200"),
    *("/tapes", "/tapes/VAULT01/PAYROLL/A00005", "/tapes/VAULT01/PAYROLL/A00002", "/mounts"),
    *("/hosts", "/rules", "/applications", "/history", "/system", "/jobs/200/output"),
)


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("path", PAGES)
def test_each_page_fits_the_screen_and_breaks_no_rule_of_its_policy(night, browser, path, width):
    browser.sign_in(night, "alice")
    browser.show(width=width)
    browser.go(night.address + path)
    assert browser.find("h1").text
    assert "defect" not in browser.text
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.complaints() == []


def test_an_operator_finds_a_failed_backup_reads_its_cause_and_runs_three_again(night, browser):
    browser.sign_in(night, "alice")
    causes = browser.find("table.causes").text
    assert "ANS1017E Session rejected: connection failure." in causes
    browser.follow("/VAULT01/PAYROLL/A00005")
    assert browser.path == "/jobs/5"
    assert "ANS1017E Session rejected" in browser.find("pre.output").text
    browser.follow("5")
    told = browser.find("table:has(td.mono.text)").text
    assert "1303 FAILED" in told
    assert "rc=12" in told
    (night.root / "mended").touch()
    browser.go(f"{night.address}/jobs?state=failed&text=ANS1017E")
    boxes = browser.all("input[name=job][type=checkbox]")
    for box in boxes[-3:]:
        box.click()
    browser.click("form[action='/jobs/retry'] button")
    assert "3 of 3 can be run again" in browser.text
    browser.fill("input[name=reason]", "the library is mended")
    browser.click("form.order button")
    assert "3 of 3 run again" in browser.text
    (again,) = browser.all("tbody tr:last-child a[href^='/jobs/']")[1:]
    number = int(again.text.removeprefix("job "))
    host = night.link()
    host.send("VTSPolicy Status - 1\n")
    host.wait("STATUS")
    browser.go(f"{night.address}/history?subject=job&people=only")
    assert "the library is mended" in browser.text
    assert "operator alice" in browser.text
    night.run("job", str(number), "--follow")
    browser.go(f"{night.address}/jobs/{number}")
    assert "completed" in browser.find("h1").text
    browser.go(night.address)
    assert "/VAULT01/PAYROLL/A00005" not in browser.find("table.causes").text


def test_a_job_that_runs_shows_its_output_and_is_cancelled_with_a_reason(night, browser):
    browser.sign_in(night, "alice")
    browser.go(f"{night.address}/jobs?state=running")
    browser.all("tbody a[href^='/jobs/']")[0].click()
    assert "Archiving" in browser.find("pre.output").text
    browser.fill("form.order input[name=reason]", "wrong tape")
    browser.click("form.order button")
    number = browser.path.rpartition("/")[2]
    night.run("job", number, "--follow", check=False)
    browser.go(f"{night.address}/jobs/{number}")
    assert "cancelled" in browser.find("h1").text
    assert "cancelled by operator alice: wrong tape" in browser.text


def test_markup_in_a_command_stays_text(night, browser):
    browser.sign_in(night, "alice")
    browser.go(f"{night.address}/requests?text=script")
    assert "<script>alert(1)</script>" in browser.find("tbody").text
    assert browser.complaints() == []


def test_who_may_not_order_sees_grey_buttons_that_name_the_right(night, browser):
    browser.sign_in(night, "vera")
    browser.go(f"{night.address}/jobs")
    assert "No job fits" in browser.text  # all of them are another host's
    assert "You see what belongs to NSK2" in browser.text
    browser.go(f"{night.address}/jobs/5")
    assert "there is no job 5" in browser.text
    browser.go(f"{night.address}/history")
    assert "does not allow that" in browser.text
    assert "History" not in browser.find("nav").text


def test_an_auditor_sees_the_history_and_nothing_else(night, browser):
    browser.sign_in(night, "audrey")
    assert browser.path == "/history"
    assert browser.find("nav").text == "History"
    browser.go(f"{night.address}/jobs")
    assert "does not allow that" in browser.text


def test_signing_out_ends_the_session(night, browser):
    browser.sign_in(night, "alice")
    cookie = browser.driver.get_cookie("vtspolicy")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    browser.click("form.person button")
    assert browser.path == "/sign-in"
    browser.driver.add_cookie({"name": "vtspolicy", "value": cookie["value"]})
    browser.go(f"{night.address}/jobs")
    assert browser.path.startswith("/sign-in")


def test_pages_and_forms_work_without_javascript(night, browser):
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.sign_in(night, "alice")
        assert browser.find("h1").text == "Tonight"
        browser.follow("Jobs")
        browser.fill("input[name=tape]", "A00011")
        browser.click("form.filters button")
        assert [row.text.split()[0] for row in browser.all("tbody tr")] == ["11"]
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
