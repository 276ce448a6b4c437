"""The VTSPolicy language: texts to commands and back, with a vocabulary that is data."""

from vtspolicy.grammar.caret import diagnose
from vtspolicy.grammar.command import VERBS_ON_REQUESTS, Command, CommandError, Target
from vtspolicy.grammar.loading import load_vocabulary, shipped
from vtspolicy.grammar.parser import missing_in_cluster, parse
from vtspolicy.grammar.printing import format_command
from vtspolicy.grammar.vocabulary import Family, Keyword, Vocabulary

__all__ = [
    "VERBS_ON_REQUESTS",
    "Command",
    "CommandError",
    "Family",
    "Keyword",
    "Target",
    "Vocabulary",
    "diagnose",
    "format_command",
    "load_vocabulary",
    "missing_in_cluster",
    "parse",
    "shipped",
]
