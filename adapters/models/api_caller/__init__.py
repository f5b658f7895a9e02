"""`embedded/api-caller`: a simulated, imperfect caller of APIs. It is NOT a language model.

It exists so that a training on API-Bank's dialogues, without gold and without weights, can be
shown without a key or a network. It sees what any model sees: the dialogue, the tools, worked
examples, instructions; never the right call. It then decides twice, by chance:

- which API to call, by one of a few habits: a careful one, which searches and authenticates
  before it acts, a hasty one, one that repeats itself, one that picks anything (`habits`);
- what to pass for each parameter, by one of the ways in which it can read a value out of the
  dialogue: a date in ISO form, or as it was said, or without its time; a token out of a
  result, or left out, or made up; and so on (`readings`).

By itself it makes about one call in four right on API-Bank. What makes it better or worse: in each
worked example it looks which habits and readings would have given the call that is shown there,
and does more of the same (`policy`). An example of the same API and parameter counts most, one of
another API with a parameter of the same kind counts less, others not at all. So good examples help
where they are like the task, examples of wrong calls teach the wrong habits, and examples chosen
by chance teach it what it does already. Dates or formats that stand in the instructions, and the
advice to authenticate first, count as an example.

Equal requests get equal replies. Chance is drawn from the whole request and its seed; temperature
0 takes the likeliest at each decision, higher temperatures even the odds out.
"""

from .policy import reply

__all__ = ["reply"]
