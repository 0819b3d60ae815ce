"""From an explanation to a letter: composed, validated, rendered, kept.

>>> letter = compose(explanation, contact, config, dates)  # doctest: +SKIP
>>> assert not validate(letter)  # doctest: +SKIP
>>> Path("notice.pdf").write_bytes(render_pdf(letter))  # doctest: +SKIP
"""
