"""The law that a letter follows: dated paragraphs, offline, each with its citation.

    from datetime import date
    from lendsafe.law import Law, Search

    law = Law.load()
    print(law.find("1002.9(b)(2)", date(2026, 7, 1))[0].text)
    for hit in Search(law, date(2026, 11, 27)).find("How many days do we have to send a denial?"):
        print(hit.paragraph.citation, hit.paragraph.status)

It is no legal advice.
"""

from lendsafe.law.answers import Answer, answer
from lendsafe.law.citations import citation, labels_in
from lendsafe.law.corpus import ADVICE, Amendment, Law, Paragraph, day_of
from lendsafe.law.drift import Drift, compare
from lendsafe.law.rows import Row, Snapshot
from lendsafe.law.search import Hit, Search
from lendsafe.law.store import Change, changes, default_folder

__all__ = [
    "ADVICE",
    "Amendment",
    "Answer",
    "Change",
    "Drift",
    "Hit",
    "Law",
    "Paragraph",
    "Row",
    "Search",
    "Snapshot",
    "answer",
    "changes",
    "citation",
    "compare",
    "day_of",
    "default_folder",
    "labels_in",
]
