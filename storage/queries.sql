-- Every statement that the stores and the reader use, by name.

-- name: begin_run
INSERT INTO runs (id, kind, name, status, seed, sandbox, config, task_hashes, part_of, at_unix_s,
                  created_at_unix_s)
VALUES (:id, :kind, :name, 'running', :seed, :sandbox, :config, :task_hashes, :part_of, :at_unix_s,
        :created_at_unix_s)
ON CONFLICT (id) DO UPDATE SET
    name = excluded.name, status = 'running', stopped_by = '', message = '',
    sandbox = excluded.sandbox, config = excluded.config, task_hashes = excluded.task_hashes,
    at_unix_s = excluded.at_unix_s;

-- name: finish_run
UPDATE runs SET status = :status, stopped_by = :stopped_by, message = :message,
    seconds = :seconds, at_unix_s = :at_unix_s
WHERE id = :id;

-- name: abandon_run
UPDATE runs SET status = 'interrupted', stopped_by = 'interrupt',
    seconds = seconds + max(0, :at_unix_s - at_unix_s), at_unix_s = :at_unix_s
WHERE id = :id AND status = 'running';

-- name: keep_content
INSERT INTO contents (hash, packed) VALUES (:hash, :packed) ON CONFLICT DO NOTHING;

-- name: keep_function
INSERT INTO functions (hash, name, body) VALUES (:hash, :name, :body) ON CONFLICT DO NOTHING;

-- name: keep_parameters
INSERT INTO parameters (version, functions, body) VALUES (:version, :functions, :body)
ON CONFLICT DO NOTHING;

-- name: start_evaluation
INSERT INTO evaluations (run_id, evaluation, parameters_version, planned, at_unix_s)
VALUES (:run_id, :evaluation, :parameters_version, :planned, :at_unix_s)
ON CONFLICT (run_id, evaluation) DO UPDATE SET
    parameters_version = excluded.parameters_version, planned = excluded.planned;

-- name: finish_evaluation
INSERT INTO evaluations (run_id, evaluation, parameters_version, score, low, high, gold_score,
                         gold_low, gold_high, gold_tasks, critic_score, critic_low, critic_high,
                         critic_tasks, tasks, episodes, failed, calls, prompt_tokens, completion_tokens, cached_tokens, cost_pusd,
                         at_unix_s)
VALUES (:run_id, :evaluation, :parameters_version, :score, :low, :high, :gold_score, :gold_low,
        :gold_high, :gold_tasks, :critic_score, :critic_low, :critic_high, :critic_tasks,
        :tasks, :episodes, :failed, :calls, :prompt_tokens, :completion_tokens, :cached_tokens,
        :cost_pusd, :at_unix_s)
ON CONFLICT (run_id, evaluation) DO UPDATE SET
    parameters_version = excluded.parameters_version, score = excluded.score, low = excluded.low,
    high = excluded.high, gold_score = excluded.gold_score, gold_low = excluded.gold_low,
    gold_high = excluded.gold_high, gold_tasks = excluded.gold_tasks,
    critic_score = excluded.critic_score, critic_low = excluded.critic_low,
    critic_high = excluded.critic_high, critic_tasks = excluded.critic_tasks,
    tasks = excluded.tasks, episodes = excluded.episodes,
    failed = excluded.failed, calls = excluded.calls, prompt_tokens = excluded.prompt_tokens,
    completion_tokens = excluded.completion_tokens, cached_tokens = excluded.cached_tokens,
    cost_pusd = excluded.cost_pusd;

-- name: forget_failed_calls
DELETE FROM function_calls
WHERE run_id = :run_id AND episode_id = :episode_id AND NOT EXISTS (
    SELECT 1 FROM episodes AS e
    WHERE e.run_id = :run_id AND e.episode_id = :episode_id AND e.score IS NOT NULL);

-- name: add_function_call
INSERT INTO function_calls (run_id, episode_id, idx, name, function_hash, outcome, elapsed_s)
SELECT :run_id, :episode_id, :idx, :name, :function_hash, :outcome, :elapsed_s
WHERE NOT EXISTS (
    SELECT 1 FROM episodes AS e
    WHERE e.run_id = :run_id AND e.episode_id = :episode_id AND e.score IS NOT NULL);

-- name: save_episode
-- a scored episode is final; a failed one gives way to a later attempt
INSERT INTO episodes (run_id, episode_id, evaluation, parameters_version, task_id, repeat, score,
                      gold_score, critic_score, critic_agreement, failure, ending, calls,
                      prompt_tokens, completion_tokens, cached_tokens, cost_pusd, elapsed_s,
                      at_unix_s, system, packed)
VALUES (:run_id, :episode_id, :evaluation, :parameters_version, :task_id, :repeat, :score,
        :gold_score, :critic_score, :critic_agreement, :failure, :ending, :calls,
        :prompt_tokens, :completion_tokens, :cached_tokens, :cost_pusd, :elapsed_s,
        :at_unix_s, :system, :packed)
ON CONFLICT (run_id, episode_id) DO UPDATE SET
    score = excluded.score, gold_score = excluded.gold_score,
    critic_score = excluded.critic_score, critic_agreement = excluded.critic_agreement,
    failure = excluded.failure, ending = excluded.ending,
    calls = excluded.calls, prompt_tokens = excluded.prompt_tokens,
    completion_tokens = excluded.completion_tokens, cached_tokens = excluded.cached_tokens,
    cost_pusd = excluded.cost_pusd, elapsed_s = excluded.elapsed_s,
    at_unix_s = excluded.at_unix_s, system = excluded.system, packed = excluded.packed
WHERE episodes.score IS NULL;

-- name: save_decision
INSERT INTO decisions (run_id, step, outcome, reason, incumbent_version, candidate_version,
                       incumbent_score, score, incumbent_low, incumbent_high, score_low, score_high,
                       effect, low, high, gold_score, critic_score, episodes, calls, prompt_tokens,
                       completion_tokens, cached_tokens, cost_pusd, details, at_unix_s)
VALUES (:run_id, :step, :outcome, :reason, :incumbent_version, :candidate_version,
        :incumbent_score, :score, :incumbent_low, :incumbent_high, :score_low, :score_high,
        :effect, :low, :high, :gold_score, :critic_score, :episodes, :calls, :prompt_tokens,
        :completion_tokens, :cached_tokens, :cost_pusd, :details, :at_unix_s)
ON CONFLICT (run_id, step) DO UPDATE SET
    outcome = excluded.outcome, reason = excluded.reason,
    incumbent_version = excluded.incumbent_version,
    candidate_version = excluded.candidate_version,
    incumbent_score = excluded.incumbent_score, score = excluded.score,
    incumbent_low = excluded.incumbent_low, incumbent_high = excluded.incumbent_high,
    score_low = excluded.score_low, score_high = excluded.score_high,
    effect = excluded.effect, low = excluded.low, high = excluded.high,
    gold_score = excluded.gold_score, critic_score = excluded.critic_score,
    episodes = excluded.episodes, calls = excluded.calls,
    prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens,
    cached_tokens = excluded.cached_tokens, cost_pusd = excluded.cost_pusd,
    details = excluded.details;

-- name: save_event
INSERT INTO events (run_id, key, event, body, at_unix_s)
VALUES (:run_id, :key, :event, :body, :at_unix_s)
ON CONFLICT (run_id, key) DO UPDATE SET body = excluded.body WHERE body <> excluded.body;

-- name: save_checkpoint
INSERT INTO checkpoints (run_id, step, packed, at_unix_s)
VALUES (:run_id, :step, :packed, :at_unix_s)
ON CONFLICT (run_id, step) DO UPDATE SET packed = excluded.packed, at_unix_s = excluded.at_unix_s;

-- name: keep_call
INSERT INTO calls (run_id, scope, idx, request_hash, repeat, model, finish, calls, prompt_tokens,
                   completion_tokens, cached_tokens, cost_pusd, attempts, latency_s,
                   first_token_s, at_unix_s, head, system, packed)
VALUES (:run_id, :scope, :idx, :request_hash, :repeat, :model, :finish, :calls, :prompt_tokens,
        :completion_tokens, :cached_tokens, :cost_pusd, :attempts, :latency_s, :first_token_s,
        :at_unix_s, :head, :system, :packed)
ON CONFLICT DO NOTHING;

-- name: find_run
SELECT * FROM runs WHERE id = :id;

-- name: find_call
SELECT c.*, h.packed AS head_packed, s.packed AS system_packed
FROM calls AS c JOIN contents AS h ON h.hash = c.head LEFT JOIN contents AS s ON s.hash = c.system
WHERE run_id = :run_id AND scope = :scope AND idx = :idx AND request_hash = :request_hash;

-- name: first_head
SELECT h.packed AS head_packed FROM calls AS c JOIN contents AS h ON h.hash = c.head
WHERE run_id = :run_id AND scope = :scope ORDER BY idx LIMIT 1;

-- name: find_cached
SELECT c.*, h.packed AS head_packed, s.packed AS system_packed
FROM calls AS c JOIN contents AS h ON h.hash = c.head LEFT JOIN contents AS s ON s.hash = c.system
WHERE request_hash = :request_hash AND repeat = :repeat
ORDER BY c.rowid LIMIT 1;

-- name: add_loss
INSERT INTO losses (run_id, calls, prompt_tokens, completion_tokens, cached_tokens, cost_pusd)
VALUES (:run_id, :calls, :prompt_tokens, :completion_tokens, :cached_tokens, :cost_pusd)
ON CONFLICT (run_id) DO UPDATE SET
    calls = calls + excluded.calls,
    prompt_tokens = prompt_tokens + excluded.prompt_tokens,
    completion_tokens = completion_tokens + excluded.completion_tokens,
    cached_tokens = cached_tokens + excluded.cached_tokens,
    cost_pusd = cost_pusd + excluded.cost_pusd;

-- name: find_loss
SELECT * FROM losses WHERE run_id = :run_id;

-- name: used
SELECT coalesce(sum(calls), 0) AS calls, coalesce(sum(prompt_tokens), 0) AS prompt_tokens,
    coalesce(sum(completion_tokens), 0) AS completion_tokens,
    coalesce(sum(cached_tokens), 0) AS cached_tokens, coalesce(sum(cost_pusd), 0) AS cost_pusd
FROM calls WHERE run_id = :run_id;

-- name: last_checkpoint
SELECT * FROM checkpoints WHERE run_id = :run_id ORDER BY step DESC LIMIT 1;

-- name: find_episode
SELECT e.*, s.packed AS system_packed
FROM episodes AS e LEFT JOIN contents AS s ON s.hash = e.system
WHERE run_id = :run_id AND episode_id = :episode_id AND score IS NOT NULL;

-- name: episodes_after
SELECT e.*, s.packed AS system_packed
FROM episodes AS e LEFT JOIN contents AS s ON s.hash = e.system
WHERE run_id = :run_id AND evaluation = :evaluation
    AND (task_id, repeat, episode_id) > (:task_id, :repeat, :episode_id)
ORDER BY task_id, repeat, episode_id LIMIT :page;

-- name: calls_of_episode
SELECT elapsed_s FROM function_calls
WHERE run_id = :run_id AND episode_id = :episode_id ORDER BY idx;

-- name: find_parameters
SELECT * FROM parameters WHERE version = :version;

-- name: functions_of
SELECT f.body FROM json_each(:functions) AS wanted JOIN functions AS f ON f.hash = wanted.value
ORDER BY wanted.key;

-- name: newest_runs
SELECT * FROM runs ORDER BY created_at_unix_s DESC, id DESC LIMIT :limit;

-- name: newest_whole_run
SELECT id FROM runs WHERE part_of = '' ORDER BY created_at_unix_s DESC, id DESC LIMIT 1;

-- name: runs_beginning
SELECT id, part_of FROM runs WHERE substr(id, 1, length(:name)) = :name
ORDER BY created_at_unix_s DESC, id DESC;

-- name: evaluations_of
SELECT * FROM evaluations WHERE run_id = :run_id ORDER BY at_unix_s, evaluation;

-- name: judged_of
SELECT gold_score, critic_score, critic_agreement FROM episodes
WHERE run_id = :run_id AND critic_score IS NOT NULL;

-- name: judged_by_version
SELECT parameters_version, task_id, avg(critic_score) AS critic, avg(gold_score) AS gold
FROM episodes
WHERE run_id = :run_id AND evaluation LIKE :split || '/%' AND gold_score IS NOT NULL
    AND critic_score IS NOT NULL AND parameters_version IN (:first, :last)
GROUP BY parameters_version, task_id;

-- name: decisions_of
SELECT * FROM decisions WHERE run_id = :run_id ORDER BY step;

-- name: events_of
SELECT * FROM events WHERE run_id = :run_id AND event = :event;

-- name: costs
SELECT CASE WHEN scope LIKE 'step/%' THEN 'optimizer'
            WHEN instr(scope, '/') > 0 THEN substr(scope, 1, instr(scope, '/') - 1)
            ELSE 'agent' END AS part,
    sum(calls) AS calls, sum(prompt_tokens) AS prompt_tokens,
    sum(completion_tokens) AS completion_tokens, sum(cached_tokens) AS cached_tokens,
    sum(cost_pusd) AS cost_pusd
FROM calls WHERE run_id = :run_id GROUP BY part ORDER BY part;

-- name: function_outcomes
SELECT name, function_hash, outcome, count(*) AS calls FROM function_calls
WHERE run_id = :run_id GROUP BY name, function_hash, outcome ORDER BY outcome;

-- name: function_uses
WITH per_episode AS (
    SELECT name, function_hash, episode_id, count(*) AS calls, sum(elapsed_s) AS elapsed_s,
        max(elapsed_s) AS slowest_s
    FROM function_calls WHERE run_id = :run_id GROUP BY name, function_hash, episode_id)
SELECT u.name, u.function_hash, sum(u.calls) AS calls, sum(u.elapsed_s) AS elapsed_s,
    max(u.slowest_s) AS slowest_s,
    count(e.score) AS episodes, coalesce(sum(e.score >= 1.0), 0) AS solved,
    sum(e.score IS NULL) AS failed,
    count(DISTINCT CASE WHEN e.score IS NOT NULL THEN e.task_id END) AS tasks,
    count(DISTINCT CASE WHEN e.score >= 1.0 THEN e.task_id END) AS tasks_solved
FROM per_episode AS u
JOIN episodes AS e ON e.run_id = :run_id AND e.episode_id = u.episode_id
GROUP BY u.name, u.function_hash ORDER BY calls DESC, u.name, u.function_hash;

-- name: function_last_uses
-- the evaluation that began last among those in which it was called
SELECT name, function_hash, evaluation, at_unix_s FROM (
    SELECT c.name, c.function_hash, e.evaluation, e.at_unix_s, row_number() OVER (
        PARTITION BY c.name, c.function_hash
        ORDER BY v.at_unix_s DESC, e.evaluation DESC, e.at_unix_s DESC) AS place
    FROM function_calls AS c
    JOIN episodes AS e ON e.run_id = c.run_id AND e.episode_id = c.episode_id
    LEFT JOIN evaluations AS v ON v.run_id = e.run_id AND v.evaluation = e.evaluation
    WHERE c.run_id = :run_id)
WHERE place = 1;

-- name: function_lineage
-- what each proposal brought (with what it stands in for) and what it took away
WITH steps AS (
    SELECT step, outcome, incumbent_version AS old, candidate_version AS new
    FROM decisions WHERE run_id = :run_id),
held AS (
    SELECT p.version, f.hash, f.name
    FROM parameters AS p, json_each(p.functions) AS wanted
    JOIN functions AS f ON f.hash = wanted.value
    WHERE p.version IN (SELECT old FROM steps UNION SELECT new FROM steps))
SELECT s.step, s.outcome, n.name, n.hash AS function_hash, o.hash AS predecessor, 1 AS brought
FROM steps AS s JOIN held AS n ON n.version = s.new
LEFT JOIN held AS o ON o.version = s.old AND o.name = n.name
WHERE o.hash IS NULL OR o.hash <> n.hash
UNION ALL
SELECT s.step, s.outcome, o.name, o.hash, n.hash, 0  -- here `predecessor` is what follows
FROM steps AS s JOIN held AS o ON o.version = s.old
LEFT JOIN held AS n ON n.version = s.new AND n.name = o.name
WHERE n.hash IS NULL OR o.hash <> n.hash
ORDER BY 1, 3;

-- name: function_shares
SELECT u.name, u.function_hash, avg(e.score >= 1.0) AS share
FROM (SELECT DISTINCT name, function_hash, episode_id FROM function_calls
      WHERE run_id = :run_id) AS u
JOIN episodes AS e ON e.run_id = :run_id AND e.episode_id = u.episode_id
WHERE e.score IS NOT NULL GROUP BY u.name, u.function_hash, e.task_id;

-- name: rows_of_runs
SELECT * FROM runs WHERE id = :run_id;

-- name: rows_of_evaluations
SELECT * FROM evaluations WHERE run_id = :run_id;

-- name: rows_of_episodes
SELECT * FROM episodes WHERE run_id = :run_id;

-- name: rows_of_function_calls
SELECT * FROM function_calls WHERE run_id = :run_id;

-- name: rows_of_decisions
SELECT * FROM decisions WHERE run_id = :run_id;

-- name: rows_of_events
SELECT * FROM events WHERE run_id = :run_id;

-- name: rows_of_checkpoints
SELECT * FROM checkpoints WHERE run_id = :run_id;

-- name: rows_of_calls
SELECT * FROM calls WHERE run_id = :run_id;

-- name: rows_of_contents
SELECT * FROM contents WHERE hash IN (
    SELECT head FROM calls WHERE run_id = :run_id
    UNION SELECT system FROM calls WHERE run_id = :run_id
    UNION SELECT system FROM episodes WHERE run_id = :run_id);

-- name: rows_of_parameters
SELECT * FROM parameters WHERE version IN (
    SELECT parameters_version FROM evaluations WHERE run_id = :run_id
    UNION SELECT candidate_version FROM decisions WHERE run_id = :run_id);

-- name: rows_of_functions
SELECT * FROM functions WHERE hash IN (
    SELECT wanted.value FROM parameters AS p, json_each(p.functions) AS wanted
    WHERE p.version IN (
        SELECT parameters_version FROM evaluations WHERE run_id = :run_id
        UNION SELECT candidate_version FROM decisions WHERE run_id = :run_id));

-- name: outcomes_of
SELECT evaluation, task_id, repeat, score, failure, ending, calls, prompt_tokens,
    completion_tokens, cached_tokens, cost_pusd, elapsed_s
FROM episodes WHERE run_id = :run_id ORDER BY evaluation, task_id, repeat;

-- name: answered_calls_of
SELECT e.evaluation, e.task_id, c.calls, c.prompt_tokens, c.completion_tokens, c.cached_tokens,
    c.cost_pusd, c.attempts, c.latency_s, c.first_token_s, c.at_unix_s
FROM calls AS c JOIN episodes AS e ON e.run_id = c.run_id AND e.episode_id = c.scope
WHERE c.run_id = :run_id;

-- name: one_episode_a_task
SELECT task_id, packed, min(repeat) FROM episodes WHERE run_id = :run_id GROUP BY task_id;

-- name: failure_examples_of
SELECT evaluation, failure, packed, min(rowid) FROM episodes
WHERE run_id = :run_id AND score IS NULL GROUP BY evaluation, failure;

-- name: episodes_of_task
SELECT e.*, s.packed AS system_packed
FROM episodes AS e LEFT JOIN contents AS s ON s.hash = e.system
WHERE run_id = :run_id AND task_id = :task_id
    AND evaluation IN (SELECT value FROM json_each(:evaluations))
ORDER BY evaluation, repeat, episode_id;
