"""Numbers as they are written on the real server, against what the package wetext answers with the same grammars."""
