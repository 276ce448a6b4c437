"""The console over HTTP, asked as no good browser would."""

import http.client
import re
import ssl
import subprocess
from urllib.parse import quote, urlencode

import pytest

from tests.harness.certificates import Authority
from tests.harness.night import PASSWORD, Night

JOBS = 12


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A short night."""
    night = Night(tmp_path_factory.mktemp("night"))
    night.start()
    night.fill(JOBS)
    yield night
    night.close()


class Agent:
    """Something that speaks HTTP and keeps one cookie."""

    def __init__(self, night):
        self.night = night
        self.cookie = None

    def ask(self, path, form=None, **headers):
        """Return status, headers and text; `form` makes it a POST."""
        connection = http.client.HTTPConnection("127.0.0.1", self.night.console, timeout=60)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie is not None:
            given["Cookie"] = f"vtspolicy={self.cookie}"
        body = None
        if form is not None:
            body = urlencode(form)
            given["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request("GET" if form is None else "POST", path, body, given)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.headers, text

    def sign_in(self, name, password=PASSWORD, **headers):
        form = {"name": name, "password": password}
        status, heads, text = self.ask("/sign-in", form, **headers)
        cookie = re.match(r"vtspolicy=([^;]+)", heads.get("Set-Cookie", ""))
        self.cookie = cookie[1] if cookie else None
        return status, heads, text

    def form(self, path="/jobs"):
        """Return what each form of a page bears."""
        return re.search(r'name="form" value="([^"]+)"', self.ask(path)[2])[1]


@pytest.fixture
def alice(night):
    agent = Agent(night)
    assert agent.sign_in("alice")[0] == 303
    return agent


@pytest.mark.parametrize("path", ["/", "/jobs", "/jobs/1", "/jobs?as=json", "/history", "/nothing"])
def test_who_is_not_signed_in_is_led_to_the_form_and_shown_nothing(night, path):
    status, headers, text = Agent(night).ask(path)
    assert (status, text) == (303, "")
    assert headers["Location"].startswith("/sign-in")


def test_the_form_leads_back_to_where_somebody_wanted_to_go(night):
    agent = Agent(night)
    to = agent.ask("/jobs")[1]["Location"]
    assert 'name="to" value="/jobs"' in agent.ask(to)[2]
    form = {"name": "alice", "password": PASSWORD, "to": "/jobs"}
    assert agent.ask("/sign-in", form)[1]["Location"] == "/jobs"


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil", "javascript:1"]
)
def test_the_form_leads_to_no_other_site(night, to):
    form = {"name": "alice", "password": PASSWORD, "to": to}
    assert Agent(night).ask("/sign-in", form)[1]["Location"] == "/"


def test_a_wrong_password_is_told_logged_and_not_repeated(night):
    agent = Agent(night)
    status, _, text = agent.sign_in("nobody-of-that-name", "a wrong password")
    assert (status, "do not fit" in text) == (403, True)
    assert "a wrong password" not in text
    assert "A sign-in as nobody-of-that-name from 127.0.0.1 was refused" in night.log
    assert "a wrong password" not in night.log
    assert PASSWORD not in night.log


def test_a_form_of_another_site_is_refused(night, alice):
    assert alice.sign_in("alice", Origin="http://evil.example")[0] == 403
    alice.sign_in("alice")
    for form in ({}, {"form": "guessed"}, {"form": ""}):
        status, _, text = alice.ask("/jobs/retry", {**form, "job": "5", "sure": "yes"})
        assert (status, "not of your session" in text) == (403, True)
    assert night.json("job", "5")["repeated_by"] == []


def test_another_name_is_refused(alice):
    for name in ("evil.example", "evil.example:7443", ""):
        assert alice.ask("/jobs", Host=name)[0] == 403
    for name in ("localhost", "backup.example.com:7443"):
        assert alice.ask("/jobs", Host=name)[0] == 200


def test_every_answer_has_a_policy_that_allows_no_script_in_a_page(alice):
    for path in ("/", "/jobs/1", "/nothing", "/sign-in"):
        policy = alice.ask(path)[1]["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/jobs?state=nonsense", 400),
        ("/jobs?stat=failed", 400),
        ("/jobs?since=whenever", 400),
        ("/jobs?before=-1", 400),
        (f"/jobs?text={'x' * 300}", 400),
        (f"/jobs?text={'x' * 9000}", 400),
        ("/jobs/999999999999999999", 404),
        ("/jobs/99999999999999999999", 404),
        ("/jobs/0", 404),
        ("/tapes/VAULT01/PAYROLL/NONE", 404),
        ("/tapes/VAULT01/..%2F..%2Fetc/passwd", 404),
        ("/static/..%2F..%2Fsite.py", 404),
        ("/jobs/1/output", 404),
        ("/jobs?text=%ff%00", 200),
        ("/jobs?host=&state=", 200),
        ("/requests?since=yesterday&until=now", 200),
    ],
)
def test_bad_addresses_get_a_clear_answer(alice, path, status):
    got, _, text = alice.ask(path)
    assert got == status
    assert "defect" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize("form", [{}, {"job": "x"}, {"job": "1," * 600}, {"job": "99"}])
def test_bad_forms_change_nothing(night, alice, form):
    whole = {"form": alice.form(), "sure": "yes", "reason": "r", **form}
    newest = night.json("jobs", "--limit", "1")["jobs"]
    assert alice.ask("/jobs/retry", whole)[0] in {400, 404}
    assert night.json("jobs", "--limit", "1")["jobs"] == newest


def test_an_order_needs_a_reason(night, alice):
    status, _, text = alice.ask("/jobs/retry", {"form": alice.form(), "job": "5", "sure": "yes"})
    assert (status, "a reason is needed" in text) == (400, True)
    assert night.json("job", "5")["repeated_by"] == []


def test_a_viewer_cannot_order_what_the_buttons_do_not_offer(night):
    vera = Agent(night)
    vera.sign_in("vera")
    form = {"form": vera.form(), "job": "5", "sure": "yes", "reason": "r"}
    status, _, text = vera.ask("/jobs/retry", form)
    assert (status, "it needs the right to order" in text) == (403, True)


def test_what_belongs_to_others_is_not_there(night):
    vera = Agent(night)
    vera.sign_in("vera")
    for path in ("/jobs/5", "/requests/5", f"/tapes/VAULT01/PAYROLL/{quote('A00005')}"):
        assert vera.ask(path)[0] == 404
    for path in ("/jobs", "/requests", "/tapes", "/", "/hosts", "/mounts", "/system"):
        text = vera.ask(path)[2]
        assert "PAYROLL" not in text
        assert "NSK1" not in text
    assert vera.ask("/jobs?as=json")[2].strip() == '{"jobs":[]}'


def test_lists_come_as_csv_and_json_and_no_cell_is_a_formula(night, alice):
    night.run("cancel", "--job", "1", "--reason", "=1+1", check=False)
    headers, text = alice.ask("/jobs?as=csv")[1:]
    assert headers["Content-Type"].startswith("text/csv")
    assert len(text.splitlines()) == JOBS + 1
    assert alice.ask("/requests?as=csv&text=archiv")[0] == 200
    assert '"jobs":[{"id":' in alice.ask("/jobs?as=json&limit=")[2]


def test_a_person_who_is_removed_is_signed_out_by_the_reload(night):
    entry = night._entry("mallory", "operator", "*")
    people = night.root / "people.yaml"
    before = people.read_text()
    people.write_text(before + entry)
    night.run("reload")
    mallory = Agent(night)
    assert mallory.sign_in("mallory")[0] == 303
    assert mallory.ask("/jobs")[0] == 200
    people.write_text(before)
    night.run("reload")
    assert mallory.ask("/jobs")[0] == 303
    assert mallory.sign_in("mallory")[0] == 403


def test_a_hundred_pages_at_once_are_all_answered(night, alice):
    words = ["xargs", "-P", "25", "-I", "{}", "curl", "-s", "-o", "/dev/null"]
    words += ["-w", "%{http_code}\n", "-b", f"vtspolicy={alice.cookie}", f"{night.address}/"]
    done = subprocess.run(
        words, input="x\n" * 100, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split() == ["200"] * 100


def test_with_tls_the_cookie_is_for_this_server_alone(tmp_path):
    night = Night(tmp_path)
    (tmp_path / "authority").mkdir()
    authority = Authority(tmp_path / "authority")
    cert, key = authority.certify("vts1")
    text = (tmp_path / "vtspolicy.yaml").read_text()
    plain = f'endpoint: "tcp:port={night.console}:interface=127.0.0.1"'
    assert plain in text
    tls = f'endpoint: "tls:port={night.console}:interface=127.0.0.1", key: {key}, cert: {cert}'
    (tmp_path / "vtspolicy.yaml").write_text(text.replace(plain, tls))
    night.start()
    trust = ssl.create_default_context(cafile=authority.file)
    trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
    connection = http.client.HTTPSConnection("127.0.0.1", night.console, context=trust, timeout=60)
    form = urlencode({"name": "alice", "password": PASSWORD})
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/sign-in", form, kind)
    answer = connection.getresponse()
    assert answer.status == 303
    assert re.match(r"__Host-vtspolicy=[^;]+; Path=/; .*; Secure$", answer.headers["Set-Cookie"])
    assert "max-age" in answer.headers["Strict-Transport-Security"]
    answer.close()
    connection.close()
    metrics = night.metrics()
    assert re.search(rf'certificate_expiry_timestamp_seconds{{file="{cert}"}} [0-9.e+]+', metrics)
    night.close()


@pytest.mark.parametrize("broken", ["cert", "key"])
def test_a_broken_file_of_its_certificate_is_named_by_check_and_by_the_server(tmp_path, broken):
    night = Night(tmp_path)
    (tmp_path / "authority").mkdir()
    files = dict(zip(("cert", "key"), Authority(tmp_path / "authority").certify("x"), strict=True))
    files[broken].write_text("nothing")
    text = (tmp_path / "vtspolicy.yaml").read_text()
    plain = f'endpoint: "tcp:port={night.console}:interface=127.0.0.1"'
    tls = f'endpoint: "tls:port={night.console}", key: {files["key"]}, cert: {files["cert"]}'
    (tmp_path / "vtspolicy.yaml").write_text(text.replace(plain, tls))
    told = night.run("check", check=False)
    assert told.returncode == 2
    assert f"{files[broken]} holds no" in told.stdout + told.stderr
    served = night.run("serve", check=False)
    assert served.returncode == 2
    assert f"{files[broken]} holds no" in served.stderr


def test_who_tries_passwords_does_not_decide_how_much_is_logged(tmp_path):
    night = Night(tmp_path)
    night.start()
    agent = Agent(night)
    statuses = [agent.sign_in("alice", f"wrong {number}")[0] for number in range(12)]
    assert statuses[:5] == [403] * 5
    assert statuses[-1] == 429
    assert night.log.count("A sign-in as alice") == 1
    night.close()
