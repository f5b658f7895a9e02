"""API-Bank: 53 APIs over small JSON databases (Li et al., EMNLP 2023, arXiv 2304.08244).

The APIs are our own, made from their descriptions, recorded calls and databases; the data stay in
their folder, which a config names. Where the official evaluation has rules that the data do not
show (which inputs a checker compares, how a date is read), we keep to the rules of AlibabaResearch/
DAMO-ConvAI, `api-bank`, commit 483554e.

Two APIs ask services on the internet and have no data here: Dictionary and Translate. They answer
every call with an exception. `ToolSearcher` differs: see `search.py`.
"""

from .environment import ApiBank, api_bank

__all__ = ["ApiBank", "api_bank"]
