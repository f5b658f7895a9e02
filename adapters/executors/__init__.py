"""Where episodes run: worker processes here, actors on a cluster. One worker core for both.

A worker has its own event loop, model, scorer and sandbox, and nothing of the run: it asks the
run's process for leave before each model call, and goes on with a reply only when that process
has committed it. So there is one limiter, one budget and one writer, however many workers.

    driver                          worker
    run EPISODE            -->
                           <--      ask CALL (its place and request)
    journal, limiter, budget
    send                   -->      asks the provider
                           <--      answered
    settle, commit
    kept                   -->      the agent goes on
                           <--      ended EPISODE
"""
