"""What a config may say, where it is read from, and how its errors read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from funcforge.adapters.config import Config, load_config, load_record, load_sandbox
from funcforge.engine.errors import ConfigError

MINIMAL = """
[agent]
model = "openai/gpt-4o-mini"

[tasks]
path = "tasks.jsonl"
train = 20
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a task file, which is not the working folder."""
    home = tmp_path / "configs"
    home.mkdir()
    (home / "tasks.jsonl").write_text("{}")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return home


def load(
    folder: Path, text: str, *overrides: str, purpose: str = "train", **environ: str
) -> Config:
    file = folder / "run.toml"
    file.write_text(text)
    return load_config(file, overrides=overrides, environ=environ, purpose=purpose)  # type: ignore[arg-type]


def error(folder: Path, text: str, *overrides: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, *overrides, **environ)
    return str(caught.value)


def test_a_minimal_config_takes_the_papers_settings_and_a_sound_policy(folder: Path) -> None:
    config = load(folder, MINIMAL)

    training = config.training
    assert (training.epochs, training.patience, config.optimizer.actions_per_step) == (10, 10, 3)
    assert training.acceptance == "sequential"
    assert config.name == "run"
    assert config.optimizer_model == "openai/gpt-4o-mini"


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(folder: Path) -> None:
    text = MINIMAL + "[training]\nepochs = 1\npatience = 1\nrepeats = 1\n"
    environ = {"FUNCFORGE_TRAINING__PATIENCE": "2", "FUNCFORGE_TRAINING__REPEATS": "2"}

    config = load(folder, text, "training.repeats=3", **environ)

    training = config.training
    assert (training.epochs, training.patience, training.repeats) == (1, 2, 3)


def test_an_override_that_is_no_toml_is_a_text(folder: Path) -> None:
    config = load(folder, MINIMAL, "agent.model=openai/gpt-4o", 'name="7"', 'log.file=a "b" \\c')

    assert config.agent.model == "openai/gpt-4o"
    assert config.name == "7"
    assert config.log.file == 'a "b" \\c'


def test_an_override_may_name_a_model_in_quotes(folder: Path) -> None:
    config = load(folder, MINIMAL, 'models."openai/x".base_url="http://localhost:1/v1"')

    assert config.models["openai/x"].base_url == "http://localhost:1/v1"


def test_paths_are_seen_from_the_file_and_those_of_overrides_from_here(folder: Path) -> None:
    Path("mine.jsonl").write_text("{}")

    assert load(folder, MINIMAL).tasks.path == str(folder / "tasks.jsonl")
    assert load(folder, MINIMAL, "tasks.path=mine.jsonl").tasks.path == str(
        Path.cwd() / "mine.jsonl"
    )
    assert load(folder, MINIMAL).store.path == ".funcforge/runs.db"


def test_an_override_puts_a_missing_file_right(folder: Path) -> None:
    text = MINIMAL.replace("tasks.jsonl", "gone.jsonl")

    assert load(folder, text, f"tasks.path={folder / 'tasks.jsonl'}").tasks.path is not None
    assert f"tasks.path: there is no file or folder {folder / 'gone.jsonl'}" in error(folder, text)


def test_a_split_may_be_a_count_a_table_or_the_rest(folder: Path) -> None:
    (folder / "test.jsonl").write_text("{}")
    text = MINIMAL + 'validation = "rest"\n[tasks.test]\npath = "test.jsonl"\ncount = 5\n'

    tasks = load(folder, text, "tasks.train.categories=['algebra']").tasks

    assert tasks.train is not None
    assert (tasks.train.count, tasks.train.categories) == (20, ("algebra",))
    assert tasks.validation is not None
    assert tasks.validation.count == "rest"
    assert tasks.source("test") == str(folder / "test.jsonl")
    assert tasks.source("train") == str(folder / "tasks.jsonl")


def test_an_unknown_key_names_the_nearest_one(folder: Path) -> None:
    assert 'training.epoch: unknown key; did you mean "epochs"?' in error(
        folder, MINIMAL + "[training]\nepoch = 3"
    )
    assert 'epochs: unknown key; did you mean "training.epochs"?' in error(
        folder, "epochs = 3\n" + MINIMAL
    )
    assert 'tasks.train.cuont: unknown key; did you mean "count"?' in error(
        folder, MINIMAL, "tasks.train.cuont=3"
    )
    assert 'models."a/b".url: unknown key; did you mean "base_url"?' in error(
        folder, MINIMAL + '[models."a/b"]\nurl = "http://x"'
    )


def test_an_error_names_where_the_setting_was_made(folder: Path) -> None:
    assert error(folder, MINIMAL + "[budget]\ncalls = 0").startswith(f"{folder}/run.toml: budget")
    assert "--set budget.calls: budget.calls: must be at least 1, not -1" in error(
        folder, MINIMAL, "budget.calls=-1"
    )
    assert "environment variable FUNCFORGE_BUGET__CALLS" in error(
        folder, MINIMAL, FUNCFORGE_BUGET__CALLS="3"
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('[agent]\nturns = "3"', 'agent.turns: must be a whole number, not "3"'),
        ("[agent]\nturns = true", "agent.turns: must be a whole number, not true"),
        ("[agent]\npython = 1", "agent.python: must be true or false, not 1"),
        ("[agent]\ntemperature = nan", "agent.temperature: must be a finite number"),
        ("[agent]\ntemperature = 3.0", "agent.temperature: must be at most 2.0, not 3.0"),
        ('[agent]\nmodel = "gpt-4"', 'agent.model: a model is named "provider/model"'),
        ('[agent]\nkind = "chat"', 'agent.kind: allowed are "tool_calling", "react", "'),
        ('[agent]\nanswer = "box"', "agent.answer: 'box' is no answer format; allowed are"),
        ('[training]\nacceptance = "maybe"', 'allowed are "paper", "no_worse", "fixed" or "'),
        ("[sandbox]\npackages = [1]", "sandbox.packages.0: must be a text in quotes"),
        ("budget = 3", "budget: must be a table, not 3"),
        ('[models."openai/x"]\nbase_url = "ftp://x"', 'base_url must begin with "http://"'),
    ],
)
def test_a_wrong_value_is_shown_with_what_is_allowed(
    folder: Path, table: str, message: str
) -> None:
    rest = {"agent": "[agent]\nmodel = 'a/b'\n", "tasks": "[tasks]\npath='tasks.jsonl'\ntrain=2\n"}
    if table.startswith("[agent]"):
        rest["agent"] = table + ("" if "model" in table else "\nmodel = 'a/b'") + "\n"
        table = ""

    assert message in error(folder, f"{table}\n{rest['agent']}{rest['tasks']}")


def test_all_problems_are_named_at_once(folder: Path) -> None:
    message = error(folder, "epochs = 3\n[tasks]\npath = 'no.jsonl'\ntrain = 0\n", "x", "seed=a")

    assert message.startswith("6 problems:")
    assert "--set x: must be key=value" in message
    assert "agent: is missing: add [agent] with model" in message
    assert f"tasks.path: there is no file or folder {folder / 'no.jsonl'}" in message
    assert 'tasks.train.count: must be a whole number from 1, or "rest" (it is 0)' in message
    assert 'seed: must be a whole number, not "a"' in message


def test_no_model_says_how_one_is_named(folder: Path) -> None:
    text = MINIMAL.replace('model = "openai/gpt-4o-mini"', "")

    assert 'agent.model: is missing: name a model, e.g. model = "openai/' in error(folder, text)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ("path = 'tasks.jsonl'", "no split: set at least one of train, validation and test"),
        ("train = 3", "no file for the train tasks: set tasks.path or its own path"),
        ("path = 'tasks.jsonl'\ntest = 3", "tasks.train: is missing: training needs tasks"),
        ("path = 'tasks.jsonl'\ntrain = 'rest'\ntest = 'rest'", "both take the rest of the same"),
        ("path = 'tasks.jsonl'\ntrain = 6\ntest = 6\nlimit = 10", "need 12 tasks but limit is 10"),
        ("path = 'tasks.jsonl'\ntrain = 6\nstratify = true", "stratify needs category"),
    ],
)
def test_an_impossible_split_is_refused(folder: Path, tasks: str, message: str) -> None:
    assert message in error(folder, f"[agent]\nmodel = 'a/b'\n[tasks]\n{tasks}\n")


def test_acceptance_on_validation_needs_validation_tasks(folder: Path) -> None:
    assert "tasks.validation is not set" in error(
        folder, MINIMAL + "[training]\naccept_on = 'validation'"
    )


def test_a_batch_larger_than_the_training_tasks_is_refused(folder: Path) -> None:
    assert "batch_size is 21 but tasks.train has 20 tasks" in error(
        folder, MINIMAL + "[training]\nbatch_size = 21"
    )


def test_an_evaluation_needs_no_training_tasks(folder: Path) -> None:
    text = MINIMAL.replace("train = 20", "test = 5")

    assert load(folder, text, purpose="evaluate").tasks.train is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = ", "is not valid TOML: Invalid value (at end of document)"),
        (b"a = '\xff'", "is not valid TOML: 'utf-8' codec"),
        (b"a = " + b"[" * 100_000, "is not valid TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_named(folder: Path, content: bytes, message: str) -> None:
    file = folder / "broken.toml"
    file.write_bytes(content)

    with pytest.raises(ConfigError, match=r"broken\.toml") as caught:
        load_config(file, environ={})
    assert message in str(caught.value)


def test_a_missing_file_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: there is no such file"):
        load_config(folder / "nowhere.toml", environ={})


def test_a_key_in_the_config_is_refused_and_not_repeated(folder: Path) -> None:
    text = MINIMAL + '[models."openai/x".extra]\napi_key = "hunter2hunter2"\n'

    message = error(folder, text)

    assert "keys come from the environment, never the config" in message
    assert "hunter2" not in message


def test_a_wrong_value_that_looks_like_a_key_is_masked(folder: Path) -> None:
    message = error(folder, MINIMAL + '[agent2]\nmodel = "sk-abcdefghijklmnopqrstuv"')

    assert "sk-abc" not in message


def test_the_record_gives_the_same_config_back(folder: Path) -> None:
    (folder / "prompt.md").write_text("You solve tasks. ünïcode")
    text = MINIMAL.replace("[tasks]", 'prompt = "prompt.md"\n[tasks]') + 'test = "rest"\n'
    config = load(folder, text, "sandbox.packages=['sympy']")

    record = json.loads(json.dumps(config.record()))

    assert load_record(record) == config


def test_a_resumed_run_does_not_see_a_later_edit_of_a_prompt(folder: Path) -> None:
    prompt = folder / "prompt.md"
    prompt.write_text("first")
    config = load(folder, MINIMAL.replace("[tasks]", 'prompt = "prompt.md"\n[tasks]'))
    record = config.record()

    prompt.write_text("second")

    resumed = load_record(record, overrides=["budget.calls=9"])
    assert resumed.agent.prompt is not None
    assert resumed.agent.prompt.text == "first"
    assert resumed.budget.calls == 9


def test_a_prompt_that_is_not_utf8_is_refused(folder: Path) -> None:
    (folder / "prompt.md").write_bytes(b"\xff\xfe")

    assert "agent.prompt: the file is not UTF-8" in error(
        folder, MINIMAL.replace("[tasks]", 'prompt = "prompt.md"\n[tasks]')
    )


def test_a_scorer_of_ones_own_is_found_beside_the_config(folder: Path) -> None:
    (folder / "mine.py").write_text("def score(task, episode): ...")

    config = load(folder, MINIMAL + '[scorer]\nkind = "mine.py:score"\n')

    assert config.scorer.kind == f"{folder / 'mine.py'}:score"
    assert "there is no file" in error(folder, MINIMAL + '[scorer]\nkind = "yours.py:score"\n')


def test_a_hugging_face_data_set_is_a_name_not_a_file(folder: Path) -> None:
    text = MINIMAL.replace('path = "tasks.jsonl"', 'kind = "huggingface"\npath = "openai/gsm8k"')

    assert load(folder, text).tasks.path == "openai/gsm8k"


def test_a_single_call_reads_the_settings_of_the_sandbox_only() -> None:
    environ = {"FUNCFORGE_SANDBOX__SECONDS": "3", "FUNCFORGE_SEED": "x"}

    settings = load_sandbox(overrides=["sandbox.memory_mb=100"], environ=environ)

    assert (settings.seconds, settings.memory_mb) == (3, 100)
    with pytest.raises(ConfigError, match=r'sandbox.memry: unknown key; did you mean "memory_mb"'):
        load_sandbox(overrides=["sandbox.memry=1"], environ={})
    with pytest.raises(ConfigError, match="only settings of the sandbox"):
        load_sandbox(overrides=["seed=1"], environ={})


CRITIC = '\n[critic]\nmodel = "a/critic"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[training]\nsignal = "critic"', "there is no [critic]"),
        (
            CRITIC + '[training]\nsignal = "critic"\n[optimizer]\nfeedback = "target"',
            "knows no target",
        ),
        (CRITIC + '[training]\naccept_by = "gold"', "training.signal is already"),
        (
            CRITIC + '[training]\nsignal = "critic"\naccept_by = "gold"',
            'needs training.accept_on = "validation"',
        ),
        ("[critic]\nvotes = 3", "critic.model"),
        (CRITIC + "votes = 0", "critic.votes"),
        ("[selection]\nminimum = 2", "selection.minimum"),
        ('[selection]\nstrategy = "best"', "selection.strategy"),
        ("[training]\nsamples = 0", "training.samples"),
    ],
)
def test_a_critic_that_makes_no_sense_is_refused_with_what_is_allowed(
    folder: Path, text: str, message: str
) -> None:
    assert message in error(folder, MINIMAL + text)


def test_a_critics_model_counts_among_those_of_the_run(folder: Path) -> None:
    config = load(folder, MINIMAL + CRITIC)

    assert "a/critic" in config.models_used
