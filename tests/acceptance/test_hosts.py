"""`vtspolicy hosts`: who is connected, what came today, and what a host may do."""

from tests.harness.site import event


def test_a_host_is_shown_with_its_link_its_day_and_its_rights(site):
    host = site.link()
    for number, text in enumerate(
        (
            "VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017 ref=one'",
            "VTSPolicy TSM 'archive /VAULT01/PAYROLL/A00018 ref=two'",
            "VTSPolicy TSM 'archive /VAULT01/PAYROLL/A00019 ref=three'",
        ),
        1,
    ):
        host.send(event(text, number=number))
    host.wait("COMPLETED", ref="one")
    host.wait("DENIED", ref="three")
    (told,) = site.json("hosts")["hosts"]
    assert told["connections"] == 1
    assert told["requests_today"] == {"completed": 1, "denied": 2}
    assert told["refused_today"] == {"host NSK1 may not use TSM": 2}
    page = site.run("hosts", "NSK1").stdout
    assert "1 open" in page
    assert "2  host NSK1 may not use TSM" in page
    assert "may use" in page
    assert "VAULT01" in page
    assert "NSK1" in site.run("hosts").stdout
    host.close()


def test_without_a_server_rights_and_requests_are_shown_and_the_exit_code_says_so(site):
    site.stop()
    told = site.run("hosts", "NSK1", check=False)
    assert told.returncode == 6
    assert "not known" in told.stdout
    assert "may name tapes of" in told.stdout


def test_a_name_that_is_not_a_host_s_gets_the_nearest_one(site):
    told = site.run("hosts", "NSK2", check=False)
    assert told.returncode == 2
    assert "there is no host NSK2" in told.stderr
    assert "NSK1" in told.stderr
