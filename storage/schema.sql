-- The database of funcforge, version 1. Later versions are reached by migrations/NNN.sql.
--
-- Keys say what a row is, not when it was written: the same run with the same replies gives the
-- same rows at any concurrency. Only the columns at_unix_s, created_at_unix_s, seconds, latency_s,
-- first_token_s, elapsed_s and attempts may differ. Columns named "packed" hold zlib-compressed JSON. Numbers
-- that people are shown have columns of their own. Money is in whole picodollars (1e-12 USD).

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,               -- train, evaluate, compare, replay
    name TEXT NOT NULL,
    status TEXT NOT NULL,             -- running, done, failed, paused, interrupted
    stopped_by TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    seed INTEGER NOT NULL,
    sandbox TEXT NOT NULL,
    config TEXT NOT NULL,             -- JSON, complete, without secrets
    task_hashes TEXT NOT NULL,        -- JSON: split -> content hash
    part_of TEXT NOT NULL DEFAULT '', -- the run that began this one for itself; empty: none
    -- what the calls of the run used; kept by a trigger, equal to the sums over its calls
    calls INTEGER NOT NULL DEFAULT 0,
    prompt_tokens INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    cached_tokens INTEGER NOT NULL DEFAULT 0,
    cost_pusd INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0,  -- in which the run was at work, over all its stops
    at_unix_s REAL NOT NULL,          -- the last sign of life
    created_at_unix_s REAL NOT NULL
);

CREATE TABLE functions (
    hash TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    body TEXT NOT NULL                -- JSON: name, description, arguments, packages, code
);

CREATE TABLE parameters (
    version TEXT PRIMARY KEY,
    functions TEXT NOT NULL,          -- JSON: list of function hashes, by name
    body TEXT NOT NULL                -- JSON: instructions, demonstrations, model
);

-- What many calls and episodes have in common, once: system prompts, lists of tools.
CREATE TABLE contents (
    hash TEXT PRIMARY KEY,
    packed BLOB NOT NULL
);

CREATE TABLE evaluations (
    run_id TEXT NOT NULL,
    evaluation TEXT NOT NULL,         -- train/0, test/before, ...
    parameters_version TEXT NOT NULL,
    planned INTEGER,                  -- episodes
    score REAL,                       -- NULL until it is finished
    low REAL,
    high REAL,
    gold_score REAL,                  -- with a critic: both judges, whichever gives the score
    gold_low REAL,
    gold_high REAL,
    gold_tasks INTEGER,
    critic_score REAL,
    critic_low REAL,
    critic_high REAL,
    critic_tasks INTEGER,
    tasks INTEGER,                    -- with at least one scored episode
    episodes INTEGER,                 -- scored
    failed INTEGER,
    calls INTEGER,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cached_tokens INTEGER,
    cost_pusd INTEGER,
    at_unix_s REAL NOT NULL,
    PRIMARY KEY (run_id, evaluation)
);

CREATE TABLE episodes (
    run_id TEXT NOT NULL,
    episode_id TEXT NOT NULL,
    evaluation TEXT NOT NULL,
    parameters_version TEXT NOT NULL,
    task_id TEXT NOT NULL,
    repeat INTEGER NOT NULL,
    score REAL,                       -- the signal; NULL: failed
    gold_score REAL,                  -- with a critic: what the scorer says; NULL: no gold
    critic_score REAL,                -- NULL: no critic
    critic_agreement REAL,            -- of its votes
    failure TEXT,                     -- kind; NULL: scored
    ending TEXT NOT NULL,             -- answered, turns, tokens, no_answer, repetition, failed
    calls INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cost_pusd INTEGER NOT NULL,
    elapsed_s REAL NOT NULL,
    at_unix_s REAL NOT NULL,
    system TEXT,                      -- the system prompt, in contents; NULL: none
    packed BLOB NOT NULL,             -- prompt, other messages, calls, answer, comment, ...
    PRIMARY KEY (run_id, episode_id)
);
CREATE INDEX episodes_by_task ON episodes (run_id, evaluation, task_id, repeat);

CREATE TABLE function_calls (
    run_id TEXT NOT NULL,
    episode_id TEXT NOT NULL,
    idx INTEGER NOT NULL,
    name TEXT NOT NULL,
    function_hash TEXT,               -- NULL: a frozen tool, or no such function
    outcome TEXT NOT NULL,            -- value, exception, timeout, refused, system_failure
    elapsed_s REAL NOT NULL,
    PRIMARY KEY (run_id, episode_id, idx)
) WITHOUT ROWID;

CREATE TABLE decisions (
    run_id TEXT NOT NULL,
    step INTEGER NOT NULL,
    outcome TEXT NOT NULL,            -- accepted, promising, rolled_back, unchanged, void
    reason TEXT NOT NULL,
    incumbent_version TEXT NOT NULL,
    candidate_version TEXT NOT NULL,
    incumbent_score REAL,
    score REAL,
    incumbent_low REAL,               -- 95 % intervals of the two scores
    incumbent_high REAL,
    score_low REAL,
    score_high REAL,
    effect REAL,
    low REAL,
    high REAL,
    gold_score REAL,                  -- with a critic: both judges of the candidate
    critic_score REAL,
    episodes INTEGER NOT NULL,        -- spent on the decision, of both sides; what they used:
    calls INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cost_pusd INTEGER NOT NULL,
    details TEXT NOT NULL,            -- JSON: verdict, p_value, alpha and what the policy adds
    at_unix_s REAL NOT NULL,
    PRIMARY KEY (run_id, step)
);

CREATE TABLE events (
    run_id TEXT NOT NULL,
    key TEXT NOT NULL,                -- EditProposed/3/0/0: stored once, however often published
    event TEXT NOT NULL,
    body TEXT NOT NULL,               -- JSON
    at_unix_s REAL NOT NULL,
    PRIMARY KEY (run_id, key)
);

CREATE TABLE checkpoints (
    run_id TEXT NOT NULL,
    step INTEGER NOT NULL,
    packed BLOB NOT NULL,             -- the trainer's state
    at_unix_s REAL NOT NULL,
    PRIMARY KEY (run_id, step)
);

CREATE TABLE calls (
    run_id TEXT NOT NULL,
    scope TEXT NOT NULL,              -- an episode's id, or step/3
    idx INTEGER NOT NULL,
    request_hash TEXT NOT NULL,
    repeat INTEGER NOT NULL,
    model TEXT NOT NULL,
    finish TEXT NOT NULL,
    calls INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cost_pusd INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    latency_s REAL NOT NULL,
    first_token_s REAL,               -- of a streamed reply; NULL: it came at once
    at_unix_s REAL NOT NULL,
    head TEXT NOT NULL,               -- the request without messages, in contents
    system TEXT,                      -- the system prompt, in contents; NULL: none
    packed BLOB NOT NULL,             -- other messages, reply
    PRIMARY KEY (run_id, scope, idx, request_hash)
);
CREATE INDEX calls_by_request ON calls (request_hash, repeat);

-- What attempts used, or may have, that gave no reply: it counts against the caps, and how much it
-- is hangs on chance, so that it stands apart from what a run used.
CREATE TABLE losses (
    run_id TEXT PRIMARY KEY,
    calls INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    cost_pusd INTEGER NOT NULL
);

CREATE TRIGGER calls_add_up AFTER INSERT ON calls BEGIN
    UPDATE runs SET
        calls = calls + new.calls,
        prompt_tokens = prompt_tokens + new.prompt_tokens,
        completion_tokens = completion_tokens + new.completion_tokens,
        cached_tokens = cached_tokens + new.cached_tokens,
        cost_pusd = cost_pusd + new.cost_pusd,
        seconds = seconds + max(0, new.at_unix_s - at_unix_s),
        at_unix_s = max(at_unix_s, new.at_unix_s)
    WHERE id = new.run_id;
END;

CREATE TRIGGER episodes_show_life AFTER INSERT ON episodes BEGIN
    UPDATE runs SET
        seconds = seconds + max(0, new.at_unix_s - at_unix_s),
        at_unix_s = max(at_unix_s, new.at_unix_s)
    WHERE id = new.run_id AND new.at_unix_s > at_unix_s;
END;
