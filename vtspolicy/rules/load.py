"""Loads rules tables: files become one checked Table."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from attrs import evolve

from vtspolicy.config.load import SHIPPED
from vtspolicy.config.model import Configuration
from vtspolicy.config.positions import Entry, Items, Node, Place, Scalar, read_file
from vtspolicy.config.positions import Table as Tree
from vtspolicy.config.reading import Findings, Section, section, section_of
from vtspolicy.grammar.vocabulary import Vocabulary
from vtspolicy.rules.build import Builder
from vtspolicy.rules.cleanup import check_cleanup, policy_of
from vtspolicy.rules.conditions import is_glob
from vtspolicy.rules.evidence import check_demands
from vtspolicy.rules.keys import APPLICATION, RULE, TOP
from vtspolicy.rules.table import Rule, Table
from vtspolicy.rules.unused import check_applications, check_calendar, check_constants
from vtspolicy.suggest import did_you_mean

MERGED = frozenset({"env", "places", "programs", "defaults", "archive", "restore"})
"""Keys of an application that a site's file completes instead of replacing them."""


def load_table(
    paths: Iterable[str | Path],
    *,
    vocabulary: Vocabulary,
    configuration: Configuration | None = None,
) -> Table:
    """Return the rules of some files as one table, in the order of the files.

    A site's file may define an application of a shipped file again: what it gives replaces what
    is shipped. With a configuration, the hosts and vaults that rules name must be configured.

    Raises ConfigurationError with every problem of every file; warnings alone are in the table.
    """
    table, findings = read_table(paths, vocabulary=vocabulary, configuration=configuration)
    findings.raise_errors()
    return table


def read_table(
    paths: Iterable[str | Path],
    *,
    vocabulary: Vocabulary,
    configuration: Configuration | None = None,
) -> tuple[Table, Findings]:
    """Return what could be read of some files, and what is wrong with them, for `check`."""
    findings = Findings()
    files = tuple(Path(path) for path in paths)
    trees: list[tuple[bool, Tree]] = []
    digest = hashlib.sha256()
    for path in files:
        root, problems = read_file(path)
        findings.extend(problems)
        if root is None:
            if not problems:
                findings.add(Place(file=str(path)), "the file is empty", warning=True)
            continue
        digest.update(json.dumps(_canonical(root)).encode())
        if isinstance(root, Tree):
            trees.append((path.resolve().is_relative_to(SHIPPED.resolve()), _without_spare(root)))
        else:
            findings.add(root, "a rules file must be a mapping with applications and rules")
    table = _table_of(trees, vocabulary, configuration, findings)
    return evolve(
        table, hash=digest.hexdigest()[:12], files=files, warnings=findings.problems
    ), findings


def table_of_trees(
    trees: Iterable[tuple[bool, Tree]], *, vocabulary: Vocabulary
) -> tuple[Table, Findings]:
    """Return the table of trees, each with whether it is shipped, and what is wrong with them."""
    findings = Findings()
    return _table_of(list(trees), vocabulary, None, findings), findings


def _table_of(
    trees: list[tuple[bool, Tree]],
    vocabulary: Vocabulary,
    configuration: Configuration | None,
    findings: Findings,
) -> Table:
    tops = [
        (
            shipped,
            section(
                tree,
                TOP,
                findings,
                what="a rules file",
                place=tree.place,
                elsewhere="; what is only there to be repeated by an anchor begins with x-",
            ),
        )
        for shipped, tree in trees
    ]
    calendar = {name: days for _, top in tops for name, days in top["calendar"].items()}
    builder = Builder(vocabulary=vocabulary, calendar=calendar, findings=findings)
    for name, node in _applications(tops, findings).items():
        read = section_of(APPLICATION, "an application", elsewhere="; proof is under archive")(
            node, findings
        )
        if read is not None:
            builder.application(name, read)
    rules = _rules(tops, builder, findings)
    check_demands(rules, findings)
    check_constants(
        {
            name: (each.read, each.used)
            for name, each in builder.defaults.items()
            if each.read is not None
        },
        findings,
    )
    cleanup = _cleanup(tops, findings)
    policy = policy_of(cleanup)
    if not findings.errors:  # what cannot be read may use what nothing else does
        _check_use(tops, rules, builder, findings)
        check_cleanup(cleanup, findings)
    if configuration is not None:
        _check_names(rules, configuration, findings)
    return Table(
        applications={name: each.application for name, each in builder.defaults.items()},
        rules=tuple(rules),
        calendar=calendar,
        cleanup=policy,
        hash="",
    )


def _check_use(
    tops: list[tuple[bool, Section]], rules: list[Rule], builder: Builder, findings: Findings
) -> None:
    """Warn of what is defined and used by no rule."""
    works = [rule.work for rule in rules if rule.work is not None]
    read = {name: each.read for name, each in builder.defaults.items() if each.read is not None}
    check_applications(read, works, findings)
    calendars = (top.table.entries["calendar"].value for _, top in tops if top["calendar"])
    check_calendar([each.entries for each in calendars if isinstance(each, Tree)], works, findings)


def _cleanup(tops: list[tuple[bool, Section]], findings: Findings) -> Section | None:
    """The one cleanup of all files."""
    found: Section | None = None
    for _, top in tops:
        written: Section | None = top["cleanup"]
        if written is not None and found is not None:
            first = found.table.place
            findings.add(
                top.key_place("cleanup"),
                "a site has one cleanup",
                f"it is in {first.file}:{first.line} already",
            )
        found = found or written
    return found


def _canonical(node: Node) -> object:
    """The content of a tree without its form: comments, quotes and line breaks do not count."""
    if isinstance(node, Tree):
        return {"map": [[name, _canonical(each.value)] for name, each in node.entries.items()]}
    if isinstance(node, Items):
        return [_canonical(item) for item in node.items]
    return node.text


def _without_spare(tree: Tree) -> Tree:
    """The tree without the keys that are the site's own."""
    entries = {name: each for name, each in tree.entries.items() if not name.startswith("x-")}
    return evolve(tree, entries=entries)


def _applications(tops: list[tuple[bool, Section]], findings: Findings) -> dict[str, Node]:
    """Each application's tree, a site's over the shipped one."""
    base: dict[str, Node] = {}
    site: dict[str, Node] = {}
    for shipped, top in tops:
        for name, node in top["applications"].items():
            found = base if shipped else site
            if name in found:
                first = found[name].place
                findings.add(
                    node,
                    f"the application {name} is defined twice",
                    f"it is in {first.file}:{first.line} already",
                )
            else:
                found[name] = node
    merged = {**base}
    for name, node in site.items():
        merged[name] = _over(base[name], node) if name in base else node
    return merged


def _over(base: Node, changes: Node) -> Node:
    """The base tree with the changes of a site."""
    if isinstance(changes, Scalar) and changes.value is None:
        return base
    if not isinstance(base, Tree) or not isinstance(changes, Tree):
        return changes
    entries = dict(base.entries)
    for name, entry in changes.entries.items():
        old = entries.get(name)
        value = entry.value
        if name in MERGED and old and isinstance(old.value, Tree) and isinstance(value, Tree):
            value = evolve(value, entries={**old.value.entries, **value.entries})
        entries[name] = Entry(key=entry.key, value=value)
    return evolve(changes, entries=entries)


def _rules(tops: list[tuple[bool, Section]], builder: Builder, findings: Findings) -> list[Rule]:
    rules: list[Rule] = []
    names: dict[str, Place] = {}
    number = 0
    for _, top in tops:
        for node in top["rules"]:
            number += 1
            read = section_of(RULE, "a rule")(node, findings)
            if read is None:
                continue
            rule = builder.rule(read, number)
            if read["rule"] is not None:
                first = names.setdefault(read["rule"], read.place("rule"))
                if first != read.place("rule"):
                    findings.add(
                        read.place("rule"),
                        f'two rules are called "{read["rule"]}"',
                        f"the first is in {first.file}:{first.line}",
                    )
            if rule is not None:
                rules.append(rule)
    return rules


def _check_names(rules: Iterable[Rule], configuration: Configuration, findings: Findings) -> None:
    """Report hosts and vaults that are not configured: such a rule could never match."""
    for rule in rules:
        named = [(each.key, each.patterns) for each in rule.conditions if each.key == "host"]
        named += [(each.key, each.patterns) for each in rule.targets if each.key == "vault"]
        for key, patterns in named:
            known = list(configuration.hosts if key == "host" else configuration.vaults)
            for word in patterns:
                if not is_glob(word) and word not in known:
                    findings.add(
                        rule.places.get("when", rule.place),
                        f"the {key} {word} of this rule is not configured",
                        did_you_mean(word, known),
                        warning=True,
                    )
