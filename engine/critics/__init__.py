"""Critics: who judges trajectories without knowing the right answer.

    model        a model judges by a rubric, in one or several votes, or compares two trajectories

and what it is made of: `prompt` (the trajectory behind a fence, within the model's window),
`verdicts` (reads untrusted replies), `rubric` (the packaged texts).
"""
