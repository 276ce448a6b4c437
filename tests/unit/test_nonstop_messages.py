"""Events that a TACL program posts and reads on the simulated host."""

import pytest

from tests.harness.simulated_terminals import logged_on, system

DEFINITIONS = "$SYSTEM.ZSPIDEF"
NAMES = "[ZSPI^VAL^TANDEM].[ZSPI^SSN^ZEMS].[ZEMS^VAL^VERSION]"


def output(typist, *lines):
    return typist.type(*lines).rpartition("\n")[0].split("\n")


def shows(typist, call):
    return output(typist, f"#OUTPUT [{call}]")[0]


@pytest.fixture
def typist():
    """A terminal at which the definitions are loaded and a buffer is there."""
    found = logged_on()
    found.type("#PUSH x err read ask", f"#LOAD /LOADED x/ {DEFINITIONS}.ZSPITACL")
    found.type(f"#LOAD /LOADED x/ {DEFINITIONS}.ZEMSTACL")
    found.type("[#DEF buf STRUCT BEGIN BYTE b(1:3000); END;]")
    return found


def event(typist, text, number=1301, ssid="VTS.100.A01"):
    return shows(typist, f"#EMSINIT buf {ssid} {number} ZEMS^TKN^TEXT {len(text.encode())} {text}")


def test_an_event_is_made_and_sent_to_the_collector(typist):
    assert event(typist, "a text") == "0"
    assert shows(typist, "#SSPUT buf ZEMS^TKN^EMPHASIS [ZSPI^VAL^TRUE]") == "0"
    assert shows(typist, "#EMSGET buf ZEMS^TKN^TEXT") == "0 1 6 a text"
    assert shows(typist, "#EMSGET buf ZEMS^TKN^EVENTNUMBER") == "0 1 1301"
    assert shows(typist, "#REQUESTER /WAIT 3000/ READ $0 err read ask") == "0"
    typist.type("#APPENDV ask buf")
    assert shows(typist, "#REQUESTER /WAIT/ CLOSE read") == "0"
    (posted,) = typist.system.events
    assert (posted.text, posted.number, posted.ssid) == ("a text", 1301, "VTS.100.A01")
    assert posted.critical


@pytest.mark.parametrize(
    ("call", "status"),
    [
        ("#EMSINIT buf nonsense 1 ZEMS^TKN^TEXT 1 x", "-10"),
        ("#EMSINIT buf VTS.100.A01 99999 ZEMS^TKN^TEXT 1 x", "-2"),
        ("#EMSINIT buf VTS.100.A01 1 ZEMS^TKN^TEXT 2 x", "-2"),
        ("#EMSINIT buf VTS.100.A01 1 ZEMS^TKN^EMPHASIS 1 x", "-9"),
        ("#SSPUT buf ZEMS^TKN^EMPHASIS 0", "-1"),
        ("#SSGET buf ZSPI^TKN^RETCODE", "-1"),
        ("#SSINIT buf nonsense 3", "-10"),
    ],
)
def test_a_status_says_what_is_wrong(typist, call, status):
    assert shows(typist, call) == status


def test_an_event_that_does_not_fit_its_struct_is_refused(typist):
    typist.type("[#DEF buf STRUCT BEGIN BYTE b(1:100); END;]")
    assert event(typist, "x") == "-5"


def test_a_token_without_its_definitions_is_an_error():
    typist = logged_on()
    typist.type("[#DEF buf STRUCT BEGIN BYTE b(1:3000); END;]")
    assert output(typist, "#EMSINIT buf VTS.100.A01 1 ZEMS^TKN^NONE 1 x")[0].startswith("*ERROR*")


def test_a_buffer_of_239_bytes_cuts_an_event_and_the_collector_refuses_it(typist):
    event(typist, "x" * 180)
    typist.type("SINK [#REQUESTER /WAIT/ READ $0 err read ask]", "#APPENDV ask buf")
    assert output(typist, "#OUTPUT <[err]>") == ["<2>"]
    assert not typist.system.events
    event(typist, "short")
    typist.type("#APPENDV ask buf")
    assert not typist.system.events  # until the error is cleared
    typist.type("#SET err", "#APPENDV ask buf")
    assert len(typist.system.events) == 1


def test_text_that_is_sent_to_the_collector_is_a_console_text(typist):
    typist.type("SINK [#REQUESTER /WAIT/ READ $0 err read ask]")
    typist.type('#APPENDV ask "' + "y" * 150 + '"')
    (posted,) = typist.system.events
    assert (posted.number, len(posted.text)) == (512, 102)


def read_next(typist, *, stop="[ZSPI^VAL^TRUE]"):
    """Ask the consumer for an event and return its text; None: there is none."""
    assert shows(typist, f"#SSINIT spi {NAMES} [ZEMS^CMD^GETEVENT]") == "0"
    assert shows(typist, f"#SSPUT spi ZEMS^TKN^EOFSTOP {stop}") == "0"
    typist.type("#APPENDV ask spi", "#EXTRACTV read spi")
    assert shows(typist, "#SSPUT spi ZSPI^TKN^RESET^BUFFER [ZEMS^VAL^BUFLEN]") == "0"
    assert shows(typist, "#SSGET /INDEX 1/ spi ZSPI^TKN^RETCODE") == "0 1 0"
    if shows(typist, "#SSGETV /INDEX 1/ spi ZEMS^TKN^EVENT token") == "-8":
        return None
    typist.type("#SETBYTES buf token:event")
    return shows(typist, "#EMSGET buf ZEMS^TKN^TEXT")


@pytest.fixture
def consumer(typist):
    """A terminal that has opened a consumer distributor."""
    typist.type("[#DEF spi STRUCT BEGIN BYTE b(0:4999); END;]")
    typist.type("[#DEF token STRUCT BEGIN INT length; BYTE event(0:4023); END;]")
    assert typist.type("EMSDIST /NAME, NOWAIT/ TYPE CONSUMER, COLLECTOR $0").endswith("> ")
    assert shows(typist, "#REQUESTER /WAIT 5000/ READ [#PROCESS].#ZSPI err read ask") == "0"
    return typist


def test_a_consumer_gives_one_event_for_each_getevent(consumer):
    consumer.system.post("VTSPolicy one")
    consumer.system.post("VTSPolicy two")
    assert read_next(consumer) == "0 1 13 VTSPolicy one"
    assert read_next(consumer) == "0 1 13 VTSPolicy two"
    assert read_next(consumer) is None


def test_an_event_of_the_token_is_behind_its_length(consumer):
    consumer.system.post("VTSPolicy one")
    read_next(consumer)
    consumer.type("#SETBYTES buf token:length")
    assert shows(consumer, "#EMSGET buf ZEMS^TKN^TEXT") == "-1"


def test_without_eofstop_getevent_waits_for_the_next_event(consumer):
    consumer.type(f"SINK [#SSINIT spi {NAMES} [ZEMS^CMD^GETEVENT]]")
    assert consumer.type("#APPENDV ask spi") == ""
    consumer.system.post("at last")
    assert consumer.prompt.endswith("> ")


def test_a_consumer_that_was_stopped_answers_with_an_error(consumer):
    consumer.type("STOP", f"SINK [#SSINIT spi {NAMES} [ZEMS^CMD^GETEVENT]]", "#APPENDV ask spi")
    assert output(consumer, "#OUTPUT [err]") == ["14"]


def test_a_consumer_has_filters_and_a_time():
    at = system(filters={"$SYSTEM.VTS.F": lambda event: "yes" in event.text})
    for text in ("yes 1", "no", "yes 2"):
        at.post(text)
    typist = logged_on(at)
    line = "TYPE C, COLLECTOR $0, FILTER $SYSTEM.VTS.F, TIME 2026-11-22 02:14"
    typist.type(f"EMSDIST /NAME $C, NOWAIT/ {line}")
    (process,) = typist.session.console.processes
    assert [each.text for each in process.waiting] == ["yes 1", "yes 2"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("#REQUESTER READ $0 err read ask", "#REQUESTER without WAIT is not simulated"),
        ("#REQUESTER /WAIT 99/ READ $0 err read ask", "The size of a buffer is 132 to 5000"),
        ("#REQUESTER /WAIT/ WRITE $0 err ask", "#REQUESTER WRITE is not simulated"),
        ("#REQUESTER /WAIT/ READ $0 err read", "#REQUESTER READ needs a file and three variables"),
        ("#REQUESTER /WAIT/ CLOSE read", "read belongs to no requester"),
        ("#APPENDV ask buf", "ask belongs to no requester"),
        ("#SETBYTES buf buf:none", "none is not an item of buf"),
        ("#EMSGET x ZEMS^TKN^TEXT", "x is not a STRUCT"),
        ("#OUTPUT [buf]", "BUF is not a text"),
    ],
)
def test_what_is_wrong_or_not_known_is_an_error(typist, line, message):
    assert output(typist, line) == [f"*ERROR* {message}"]


def test_a_file_that_is_not_there_is_error_14(typist):
    assert shows(typist, "#REQUESTER /WAIT/ READ $X99.#ZSPI err read ask") == "14"
