"""Is every claim of a text true of its assessment, and is it approved? Pure Python; the same code live and offline.

``examine``   a reply in parts, all at once: may it be sent?
``support``   a verdict for each sentence of a reply in parts, by the approved ``language``
``judge``     a verdict for each sentence of a text of others: ``claims`` and ``quantities`` over ``sentence``
``label``     parts for a reply that has none
``checks``    findings by rule over the text as it is sent: ``decisions``, ``figures``, ``factors``, ``ranks``,
              ``unknown``, ``readability``, read by ``sentences``, ``numbers``, ``mentions``, ``masking``
``words``     what they know of a product's factors and facts; ``lexicon``, the reviewed words
``stated``    facts that a prompt states, for rows that carry no assessment
"""
