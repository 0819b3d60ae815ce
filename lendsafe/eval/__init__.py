"""Is a text true of its assessment, and how close is it to a reference?

``truth``    what runs before anyone sees a narrative, and offline on the same terms: no model, no pandas
``scoring``  what many narratives come to: rates, overlap with references, leakage, the report
"""
