"""Is every claim of a text true of its assessment? Pure Python; the same code live and offline.

``checks``       everything at once: findings by rule
``decisions``, ``figures``, ``factors``  one claim each, read by ``numbers``, ``mentions``, ``ranks``, ``unknown``
``lexicon``      the reviewed words
"""
