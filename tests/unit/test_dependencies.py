"""Bounds, exact versions, and that every recipe installs these."""

import configparser
import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
RECIPES = ("README.md", "deploy/README.md", "docs/how-to/upgrade.md", "Makefile")


def setup_file():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup


def declared():
    """What the program, its tests and its building need."""
    setup = setup_file()
    wanted = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    lines = chain.from_iterable(each.strip().splitlines() for each in wanted)
    building = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]
    return [Requirement(line) for line in (*lines, *building["requires"])]


def pins(python):
    """The exact versions of constraints.txt for a Python, by name."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    found = {}
    for pin in (Requirement(line) for line in lines if line and not line.startswith("#")):
        if pin.marker is None or pin.marker.evaluate({"python_version": python}):
            assert pin.name not in found, f"{pin.name} stands in constraints.txt twice"
            found[pin.name] = pin.specifier
    return found


@pytest.mark.parametrize("dependency", declared(), ids=str)
def test_every_dependency_has_a_lower_and_an_upper_bound(dependency):
    assert sorted(each.operator for each in dependency.specifier) == ["<", ">="]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("dependency", declared(), ids=str)
def test_every_dependency_has_an_exact_version_within_its_bounds(dependency, python):
    (pin,) = pins(python)[canonicalize_name(dependency.name)]
    assert pin.operator == "=="
    assert pin.version in dependency.specifier


@pytest.mark.parametrize("python", PYTHONS)
def test_what_dependencies_bring_with_them_has_an_exact_version(python):
    for pin in pins(python).values():
        assert [each.operator for each in pin] == ["=="]
    brought = {"cryptography", "pyopenssl", "service-identity", "zope-interface", "pluggy"}
    brought |= {"appdirs", "bcrypt"}
    assert brought <= pins(python).keys()


def test_the_supported_pythons_are_those_of_the_exact_versions():
    setup = setup_file()
    named = re.findall(r"Python :: (3\.\d+)$", setup["metadata"]["classifiers"], re.MULTILINE)
    assert tuple(named) == PYTHONS
    assert setup["options"]["python_requires"] == f">={PYTHONS[0]}"


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_installs_the_exact_versions(recipe):
    text = (ROOT / recipe).read_text("utf-8")
    commands = [
        line.strip()
        for line in text.splitlines()
        if re.search(r"bin/pip install|\$\(INSTALL\)", line)
    ]
    assert commands
    for command in commands:
        assert "--constraint constraints.txt" in command or "$(CONSTRAINTS)" in command, command


def test_nothing_is_built_with_tools_that_pip_chooses():
    for recipe in RECIPES:
        for line in (ROOT / recipe).read_text("utf-8").splitlines():
            if re.search(r"pip (wheel|install).* \.$|--editable", line):
                assert "--no-build-isolation" in line, f"{recipe}: {line}"
