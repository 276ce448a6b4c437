"""What all tests share: the choice of leaving out those that need installed programs."""



def pytest_addoption(parser):
    parser.addoption(
        "--without-programs",
        action="store_true",
        help="leave out the tests that run programs of .ci/packages",
    )


def pytest_collection_modifyitems(config, items):
    if config.getoption("--without-programs"):
        left_out = [item for item in items if item.get_closest_marker("programs")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("programs")]
