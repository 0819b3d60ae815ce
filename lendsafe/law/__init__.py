"""The law that a letter follows: dated paragraphs, offline, each with its citation."""
