"""Orders of an operator about tapes, given and answered."""

ALICE = "operator alice"


ARCHIVE = "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'"


ERASE = "VTSPolicy Erase - P00001"


def said(world, deferred):
    """What a verb answers, or why not."""
    found = []
    deferred.addBoth(found.append)
    world.settle()
    (answer,) = found
    return getattr(answer, "value", answer)


def order(world, text, tapes=None, **wish):
    return said(world, world.order(text, tapes=tapes, **wish))


def mark(world, tape="P00001", state="migrated", **more):
    given = {
        "handle": "H",
        "application": "DSK",
        "retention": None,
        "media": None,
        "size": None,
        "began": None,
        **more,
    }
    return said(world, world.operator.mark(tape=tape, state=state, actor=ALICE, **given))
