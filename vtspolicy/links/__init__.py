"""Links that this program opens to hosts, as far as they are pure: life, dialogues, lines."""
