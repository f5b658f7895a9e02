"""`embedded/apprentice`: a small program synthesiser that speaks the chat protocol.

It is NOT a language model. It knows no facts and solves nothing by itself. It exists so that a
first run needs no key and no network, and so that the tests train something real. All it knows
stands in the prompt it is sent:

- as agent it uses the tool whose description fits the question's words, reads the arguments out
  of the text as the tool's schema says, and otherwise guesses (`agent`);
- as optimizer it reads questions, scores and right answers in the history, searches small
  arithmetic programs that give those answers, and writes them as functions (`optimizer`).

It learns nothing where the right answers are not shown: set `feedback = "target"`.
"""

from .chat import optimizes, reply

__all__ = ["optimizes", "reply"]
