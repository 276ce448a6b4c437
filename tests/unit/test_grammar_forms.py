"""What is a command of the language, in every form, and what it means."""

import pytest

from vtspolicy.grammar import (
    CommandError,
    Target,
    format_command,
    missing_in_cluster,
    parse,
    shipped,
)

POOL = Target(vault="VAULT01", pool="PAYROLL")
TAPE = Target(vault="VAULT01", pool="PAYROLL", cartridge="A00017")


def test_the_newest_form_has_an_operation_a_path_and_keywords():
    command = parse(
        "VTSPolicy TSM 'archive /VAULT01/PAYROLL/A00017 s=vts1.example.com "
        "o=/opt/tivoli/dsm.opt r=14,d'"
    )
    assert (command.family, command.operation, command.targets) == ("TSM", "archive", (TAPE,))
    assert command.keywords == {
        "source": "vts1.example.com",
        "optfile": "/opt/tivoli/dsm.opt",
        "retention": "14,d",
    }
    assert command.ref is None
    assert command.warnings == ()


def test_the_operation_can_be_left_out():
    command = parse("VTSPolicy TSM '/VAULT01/PAYROLL source=vts1'")
    assert (command.operation, command.targets) == (None, (POOL,))


def test_the_oldest_sample_has_a_bare_option_file_and_a_host_for_st():
    command = parse('VTSPolicy FTX "/VAULT01/Pool s=VTS1 st=VTS1 o=opt1 r=14,d"')
    assert command.keywords == {
        "source": "VTS1",
        "sourceTSM": "VTS1",
        "optfile": "opt1",
        "retention": "14,d",
    }


@pytest.mark.parametrize("family", [family.name for family in shipped().applications])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_every_application_family_takes_the_core_keywords_in_either_quotes(family, quote):
    words = "archive /VAULT01/PAYROLL s=a d=b o=/c r=1,y ref=R1"
    command = parse(f"VTSPolicy {family} {quote}{words}{quote}")
    assert list(command.keywords) == ["source", "destination", "optfile", "retention"]
    assert command.ref == "R1"


@pytest.mark.parametrize(
    ("verb", "operation"), [("Erase", "erase"), ("Delete", "delete"), ("Restore", "restore")]
)
def test_a_verb_takes_tapes_by_their_names(verb, operation):
    command = parse(f"VTSPolicy {verb} - A00017 A00018 s=vts1 ref=N.1")
    assert (command.family, command.operation) == (verb, operation)
    assert command.targets == (Target(cartridge="A00017"), Target(cartridge="A00018"))
    assert command.keywords == {"source": "vts1"}
    assert command.ref == "N.1"


@pytest.mark.parametrize(("verb", "operation"), [("Status", "status"), ("Cancel", "cancel")])
def test_status_and_cancel_take_the_number_of_a_request(verb, operation):
    command = parse(f"VTSPolicy {verb} - 42")
    assert (command.operation, command.targets) == (operation, ())
    assert command.keywords == {"request": "42"}


def test_blanks_are_free_between_words_and_around_the_equals_sign():
    command = parse(" VTSPolicy  TSM   ' selective  /VAULT01/PAYROLL s = a\td= b   o =/c ' ")
    assert command.keywords == {"source": "a", "destination": "b", "optfile": "/c"}
    assert command.operation == "selective"


def test_a_tape_before_a_keyword_with_blanks_around_its_equals_sign_stays_a_tape():
    command = parse("VTSPolicy Erase - A s = b")
    assert command.targets == (Target(cartridge="A"),)
    assert command.keywords == {"source": "b"}


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("\u2018", "\u2019"),
        ("\u201c", "\u201d"),
        ("\x91", "\x92"),
        ("\x93", "\x94"),
        ("\u2019", "'"),
    ],
)
def test_typographic_quotes_are_taken_with_a_warning(opening, closing):
    command = parse(f"VTSPolicy TSM {opening}/VAULT01/PAYROLL{closing}")
    assert command.targets == (POOL,)
    assert command.warnings == ("typographic quotes were taken as plain ones",)


def test_a_tape_named_twice_is_taken_once_with_a_warning():
    command = parse("VTSPolicy Erase - A00017 A00018 A00017")
    assert command.targets == (Target(cartridge="A00017"), Target(cartridge="A00018"))
    assert command.warnings == ("A00017 is named more than once",)


def test_a_verb_of_exactly_102_bytes_is_taken_with_a_warning():
    text = ("VTSPolicy Erase -" + " A00017" * 20)[:102]
    assert "102 bytes" in parse(text).warnings[-1]
    assert parse(text + "7").warnings == ("A00017 is named more than once",)


@pytest.mark.parametrize("value", ["y", "n", "vts1.example.com", "VTS1"])
def test_st_takes_yes_no_or_a_host(value):
    command = parse(f"VTSPolicy TSM '/VAULT01/PAYROLL st={value}'")
    assert command.keywords == {"sourceTSM": value}


@pytest.mark.parametrize("name", ["A", "a.b", "_x", "X-1", "$DATA#1", "@+", "...", "P" * 64])
def test_names_of_pools_and_tapes_are_taken_as_they_are(name):
    command = parse(f"VTSPolicy TSM '/VAULT01/{name}/{name}'")
    assert command.targets == (Target(vault="VAULT01", pool=name, cartridge=name),)
    assert command.targets[0].path == f"/VAULT01/{name}/{name}"


def test_canonical_text_has_long_keywords_and_the_reference_last():
    text = 'VTSPolicy TSM "archive /VAULT01/PAYROLL ref=R s=a r = 14,d"'
    canonical = "VTSPolicy TSM 'archive /VAULT01/PAYROLL source=a retention=14,d ref=R'"
    assert format_command(parse(text)) == canonical
    assert format_command(parse("VTSPolicy Status  - 7")) == "VTSPolicy Status - 7"


def test_the_source_is_missing_in_a_cluster_only_where_a_family_needs_it():
    assert missing_in_cluster(parse("VTSPolicy TSM '/VAULT01/P'")) == ["source"]
    assert missing_in_cluster(parse("VTSPolicy TSM '/VAULT01/P s=a'")) == []
    assert missing_in_cluster(parse("VTSPolicy Erase - A"), shipped()) == []


def test_the_longest_text_is_taken():
    text = "VTSPolicy Erase -" + "".join(f" T{number:05}" for number in range(572))
    assert len(text) == 4021
    assert len(parse(text).targets) == 572


@pytest.mark.parametrize("verb", ["Status", "Cancel"])
@pytest.mark.parametrize("written", ["ref=payroll-17", "ref = payroll-17", " ref= payroll-17"])
def test_a_request_can_be_named_by_its_reference(verb, written):
    command = parse(f"VTSPolicy {verb} - {written} s=vts1")

    assert dict(command.keywords) == {"request": "ref=payroll-17", "source": "vts1"}
    assert command.ref is None
    assert format_command(command) == f"VTSPolicy {verb} - ref=payroll-17 source=vts1"


def test_a_command_about_a_numbered_request_has_a_reference_of_its_own():
    command = parse("VTSPolicy Status - 42 ref=ask")

    assert (dict(command.keywords), command.ref) == ({"request": "42"}, "ask")


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("VTSPolicy Status - ref=", 24, "expected the value of ref"),
        ("VTSPolicy Cancel - ref=a/b", 24, "expected 1 to 32 letters"),
        ("VTSPolicy Status - ref=a ref=b", 26, "found ref= a second time"),
        ("VTSPolicy Status - ref=a 42", 26, "expected keyword=value"),
        ("VTSPolicy Status - ref", 20, "expected the number of a request, or its ref="),
        ("VTSPolicy Status - Ref=a", 20, "expected the number of a request, or its ref="),
        ("VTSPolicy Erase - ref=a", 19, "expected tape names"),
    ],
)
def test_a_mistake_in_a_reference_to_a_request_is_explained(text, column, message):
    with pytest.raises(CommandError) as raised:
        parse(text)

    assert raised.value.column == column
    assert message in raised.value.message


@pytest.mark.parametrize(
    "text",
    [
        "VTSPolicy Status - ref=a x=1",
        "VTSPolicy Cancel ref=a",
        "VTSPolicy cancel - ref=a",
        "VTSPolicy Cancle - ref=a",
        "VTSPOLICY Cancel - ref=a",
        "VTSPolicy Cancel - 'ref=a'",
        "VTSPolicy Status - ' ref=a '",
        "VTSPolicy Cancel - s=vts1 ref=a",
        "VTSPolicy Cancel - request=ref=a",
        "VTSPolicy Stauts -ref = a",
    ],
)
def test_the_answer_to_a_mistake_does_not_repeat_the_reference_of_another_command(text):
    with pytest.raises(CommandError) as raised:
        parse(text)

    assert raised.value.ref is None


@pytest.mark.parametrize(
    "text",
    [
        "VTSPolicy Cancel - 4 x=1 ref=a",
        "VTSPolicy Status - A00017 ref=a",
        "VTSPolicy Eraze - A ref=a",
    ],
)
def test_the_answer_to_a_mistake_repeats_the_reference_of_the_command_itself(text):
    with pytest.raises(CommandError) as raised:
        parse(text)

    assert raised.value.ref == "a"
