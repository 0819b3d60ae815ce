"""What many narratives come to.

``scores``   one text as measures, many as estimates
``metrics``  an estimate and its interval
``overlap``  ROUGE and BERTScore
``leakage``  what a text shares with the training rows
``report``   the page that shows it
"""
