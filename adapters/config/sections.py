"""The settings of a run: one frozen pydantic model per table of the TOML file."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Names = Annotated[tuple[str, ...], Field(strict=False)]  # TOML has lists, no tuples


def _model_name(value: str) -> str:
    provider, slash, name = value.partition("/")
    if not (provider and slash and name) or value != value.strip():
        raise ValueError('a model is named "provider/model", e.g. "openai/gpt-4o-mini"')
    return value


ModelName = Annotated[str, AfterValidator(_model_name)]


def _kind(*builtin: str) -> AfterValidator:
    """Allow the names built in, or a person's own `module:function` or `file.py:function`."""

    def check(value: str) -> str:
        module, colon, function = value.partition(":")
        if value in builtin or (colon and module and function.isidentifier()):
            return value
        names = "".join(f'"{name}", ' for name in builtin) + "or " * bool(builtin)
        raise ValueError(f'allowed are {names}your own "module:function", "file.py:function"')

    return AfterValidator(check)


def _answer(value: str) -> str:
    from ...engine.agents.answers import AnswerFormat
    from ...engine.errors import ConfigError

    try:
        AnswerFormat.parse(value)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return value


class Section(BaseModel):
    """A table: immutable, every key known, no value coerced into another type."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        # a table's validator stands within that of the whole; one of its own is rarely needed
        defer_build=True,
    )


class PromptFile(Section):
    """A prompt read from a file. The record keeps its text: a resumed run sees no later edit."""

    path: str
    text: str


def _read_prompt(value: Any) -> Any:
    if not isinstance(value, str):
        return value  # of a record, or wrong: pydantic says so
    try:
        with open(value, encoding="utf-8") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"the file is not UTF-8: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise ValueError(f"cannot read the file: {error.strerror}") from None
    return {"path": value, "text": text}


Prompt = Annotated[PromptFile, BeforeValidator(_read_prompt)]


class AgentConfig(Section):
    """Who solves the tasks."""

    kind: Annotated[str, _kind("tool_calling", "react", "creator")] = "tool_calling"
    model: ModelName = Field(description='the agent\'s model, e.g. "openai/gpt-4o-mini"')
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None  # None: the provider's default
    turns: Count = 12  # model calls per episode
    tokens: Count = 200_000  # prompt and completion, over all turns of an episode
    reply_tokens: Count = 2_048  # the longest single reply
    # how the final answer is marked: boxed, hashes (`#### N`), last_line, whole, or a pattern
    answer: Annotated[str, AfterValidator(_answer)] = "boxed"
    prompt: Prompt | None = None  # replaces the built-in system prompt
    python: bool = True  # whether the agent has a code interpreter
    instructions: str = ""  # added to the system prompt; what learning starts from
    seed: int | None = None  # sent plus the sample's number, where the provider takes one
    # of the learned demonstrations, the most similar to each task are shown, within both bounds
    demonstrations: Annotated[int, Field(ge=0)] = 8
    demonstration_tokens: Annotated[int, Field(ge=0)] = 8_000
    functions: Count | None = None  # of the learned ones, the most similar; None: all

    @model_validator(mode="after")
    def _interpreter(self) -> Self:
        if self.kind == "creator" and not self.python:
            raise ValueError('kind "creator" makes its tools in the interpreter: python = true')
        return self


class OptimizerConfig(Section):
    """Who proposes edits."""

    kind: Annotated[
        str, _kind("functions", "demonstrations", "instructions", "craft", "finetune")
    ] = "functions"
    model: ModelName | None = None  # None: the agent's
    actions_per_step: Count = 3  # MAX of Algorithm 1
    tries: Count = 3  # how often an invalid action may be corrected
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    prompt_tokens: Count | None = None  # None: what the model's context window leaves
    reply_tokens: Count = 4_096
    progressive: bool = True  # False: all actions of a step in one reply (ablation)
    prompt: Prompt | None = None
    # what it may read of a task; "comment" is the critic's reason where the critic is the signal
    feedback: Literal["score", "comment", "target"] = "score"
    demonstrations_per_step: Count = 8  # demonstrations: how many are proposed at once


def _how_many(value: Any) -> Any:
    if value == "rest" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError('must be a whole number from 1, or "rest"')


def _split(value: Any) -> Any:
    return {"count": value} if isinstance(value, int | str) else value


class SplitConfig(Section):
    """One split. `train = 20` is short for `train.count = 20`."""

    count: Annotated[int | Literal["rest"], BeforeValidator(_how_many)] = "rest"
    path: str | None = None  # its own file; None: out of the common one
    split: str | None = None  # Hugging Face: the split's name there
    categories: Names = ()  # only tasks of these categories; empty: all
    # of those that were drawn only these categories: other splits stay as they are
    only: Names = ()


Split = Annotated[SplitConfig, BeforeValidator(_split)]

# where the tasks of several splits may stand in one file
SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


class TasksConfig(Section):
    """Where the tasks come from, and which are for learning, deciding and the sealed test."""

    kind: Literal[
        "jsonl", "csv", "parquet", "huggingface", "gsm8k", "math", "tabmwp", "gaia", "api_bank"
    ] = "jsonl"
    path: str | None = None  # file or folder; Hugging Face: name of the data set
    # Hugging Face: the configuration's name; api_bank: "calls" (None) or "replies"
    subset: str | None = None
    # task field (id, prompt, target, files, ...) -> column; empty: the columns have those names
    fields: dict[str, str] = Field(default_factory=dict)
    category: str | None = None  # column with the category
    stratify: bool = False  # sample each category in proportion
    limit: Count | None = None  # read no more tasks than this; None: all
    train: Split | None = None
    validation: Split | None = None
    test: Split | None = None

    def source(self, name: SplitName) -> str | None:
        """Return the file that a split is read from."""
        split: SplitConfig | None = getattr(self, name)
        return (split.path if split else None) or self.path

    @model_validator(mode="after")
    def _possible(self) -> Self:
        present = {name: split for name in SPLITS if (split := getattr(self, name)) is not None}
        if not present:
            raise ValueError(
                "no split: set at least one of train, validation and test, e.g. train = 20"
            )
        for name, split in present.items():
            if self.source(name) is None:
                raise ValueError(f"no file for the {name} tasks: set tasks.path or its own path")
            if self.limit and isinstance(split.count, int) and split.count > self.limit:
                raise ValueError(f"{name} wants {split.count} tasks but limit is {self.limit}")
        self._one_rest(present)
        self._within_limit(present)
        if self.stratify and self.category is None and self.kind in ("jsonl", "csv", "parquet"):
            raise ValueError("stratify needs category, the column to stratify by")
        return self

    def _pool(self, name: SplitName, split: SplitConfig) -> tuple[str | None, str | None]:
        return (self.source(name), split.split)

    def _one_rest(self, present: dict[SplitName, SplitConfig]) -> None:
        pools: dict[tuple[Any, ...], SplitName] = {}
        for name, split in present.items():
            if split.count != "rest":
                continue
            pool = (*self._pool(name, split), split.categories)
            if pool in pools:
                raise ValueError(
                    f"{pools[pool]} and {name} both take the rest of the same tasks: "
                    "give one of them a count"
                )
            pools[pool] = name

    def _within_limit(self, present: dict[SplitName, SplitConfig]) -> None:
        wanted: dict[tuple[Any, ...], int] = {}
        for name, split in present.items():
            pool = self._pool(name, split)
            wanted[pool] = wanted.get(pool, 0) + (split.count if split.count != "rest" else 1)
        for pool, count in wanted.items():
            if self.limit and count > self.limit:
                raise ValueError(
                    f"the splits out of {pool[0]} need {count} tasks but limit is {self.limit}"
                )


class EnvironmentConfig(Section):
    """The world that the tasks are set in: stateful tools, fresh for each episode."""

    kind: Annotated[str, _kind("api_bank")]
    # a file or folder with its data, passed on as `path`; api_bank: None for that of the tasks
    path: str | None = None
    timeout_s: Seconds = 30.0  # one call; a call that takes longer fails the episode
    options: dict[str, Any] = Field(default_factory=dict)  # keyword arguments of your own one


class ScorerConfig(Section):
    """Who judges an answer."""

    kind: Annotated[
        str,
        _kind(
            "exact", "numeric", "multiple_choice", "text_overlap", "math", "gsm8k", "tabmwp",
            "gaia", "model_graded", "api_bank",
        ),
    ] = "exact"  # fmt: skip
    tolerance: Annotated[float, Field(ge=0)] | None = None  # numeric: absolute
    relative_tolerance: Annotated[float, Field(ge=0)] | None = None  # numeric: share of the target
    model: ModelName | None = None  # model_graded: the judge
    rubric: Prompt | None = None  # model_graded: the file with the rubric
    timeout_s: Seconds = 30.0
    options: dict[str, Any] = Field(default_factory=dict)  # keyword arguments of your own scorer

    @model_validator(mode="after")
    def _judge(self) -> Self:
        if self.kind == "model_graded" and self.model is None:
            raise ValueError("model_graded needs model, the judge")
        return self


class CriticConfig(Section):
    """A model that judges trajectories without knowing the right answer."""

    model: ModelName = Field(description='the critic\'s model, e.g. "openai/gpt-4o"')
    votes: Count = 1  # judgements of each trajectory, all at once; the score is their mean
    tries: Count = 3  # replies of one vote until it is in the agreed form
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None  # None: 0, or 0.7 with votes
    seed: int | None = None  # of the first vote, counting up; None: not sent
    reply_tokens: Count = 1_024
    prompt_tokens: Count | None = None  # None: what the model's context window leaves
    structured: bool = True  # ask the provider for JSON of the verdict's form
    # name -> what a full mark means; empty: goal, calls, no_invention, grounding, economy
    dimensions: dict[str, str] = Field(default_factory=dict)
    prompt: Prompt | None = None  # replaces the built-in rubric
    pairwise_prompt: Prompt | None = None  # replaces the built-in comparison


class SelectionConfig(Section):
    """Which sampled trajectories are learned from."""

    strategy: Literal["threshold", "best_of_k", "top_share", "margin"] = "best_of_k"
    minimum: Share = 0.5  # the least score of a chosen one
    share: Share = 0.25  # top_share: of all trajectories
    per_task: Count = 1  # top_share: at most so many of one task
    margin: Share = 0.2  # margin: between the best and the worst of a task


class FinetuneConfig(Section):
    """How the agent's model is fine-tuned: optimizer.kind = "finetune". `local/PATH`: here."""

    learn: Literal["examples", "preferences"] = "examples"  # selected turns, or pairs of turns
    # preferences: learn only from pairs that the critic also confirms side by side, in both orders
    pairwise: bool = False
    epochs: Count = 3
    least: Count = 10  # examples or pairs; with fewer nothing is proposed
    from_start: bool = False  # always from the agent's model; False: on from the incumbent's
    general: str | None = None  # chat JSONL to mix with the agent's own examples
    own_share: Annotated[float, Field(gt=0, lt=1)] = 0.2  # of the mixture
    batch_size: Count | None = None  # None: the service's default; 8 here
    # here: Adam's, None: 2e-4 for lora, 2e-5 for full; at a provider: its multiplier
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    wait_s: Seconds = 86_400.0  # a job that takes longer is cancelled
    poll_s: Seconds = 30.0  # the longest wait from poll to poll
    usd_per_million_tokens: Annotated[float, Field(ge=0)] | None = None  # provider: trained on
    method: Literal["lora", "full"] = "lora"  # here
    lora_rank: Count = 16
    max_length: Count = 4_096  # here: tokens of one conversation
    folder: str = ".funcforge/models"  # here: where models are kept
    threads: Annotated[int, Field(ge=0)] = 0  # here: of torch; 0: its own choice


class TrainingConfig(Section):
    """The loop of Algorithm 2."""

    signal: Literal["gold", "critic"] = "gold"  # whose verdict is learned from
    # "gold": validation and test go by the scorer, though a critic is learned from
    accept_by: Literal["signal", "gold"] = "signal"
    samples: Count = 1  # K: episodes of each training task that the optimizer sees
    candidates: Count = 1  # proposals a step; several race, and the winner is decided on
    first_lap: Count = 16  # episodes of each in the race's first lap; every later lap has twice

    epochs: Count = 10  # E: stop after this many accepted improvements
    patience: Annotated[int, Field(ge=0)] = 10  # C: stop after more rejections in a row than this
    batch_size: Annotated[int, Field(ge=0)] = 0  # tasks per step; 0: all training tasks
    accept_on: Literal["train", "validation"] = "train"
    acceptance: Literal["paper", "no_worse", "fixed", "sequential"] = "sequential"
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.1  # chance of a false acceptance in the run
    acceptance_options: dict[str, Any] = Field(default_factory=dict)
    max_failed_share: Share = 0.2  # more failed episodes than this void an evaluation
    repeats: Count = 1  # episodes per task and evaluation
    test_repeats: Count = 1  # the same on the sealed test
    test: bool = True  # False: the sealed test is put aside, but not looked at
    steps: Count | None = None  # stop after this many proposals in any case; None: no bound
    roll_back: bool = True  # False: keep every proposal (ablation)
    early_stop: bool = True  # False: ignore patience (ablation)
    # the sealed test runs beside the step that ends the training unless it is accepted: done
    # sooner, and paid for in vain where it is accepted
    test_beside: bool = False
    test_every_version: bool = False  # learning curve on the test set; looks at it, marked so


class BudgetConfig(Section):
    """Caps on the whole run. None: no cap. Reaching one pauses the run, resumable."""

    calls: Count | None = None
    tokens: Count | None = None
    cost_usd: Annotated[float, Field(gt=0)] | None = None
    seconds: Seconds | None = None


class AccountLimits(Section):
    """What one provider account allows. None: as in [limits]."""

    in_flight: Count | None = None
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None


class LimitsConfig(Section):
    """How much at once, and how long at most."""

    in_flight: Count = 64  # episodes at once
    call_timeout_s: Seconds = 120.0  # one model call
    episode_timeout_s: Seconds = 900.0
    attempts: Count = 6  # of a model call that fails in a way that may pass
    requests_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    accounts: dict[str, AccountLimits] = Field(default_factory=dict)  # provider -> its own limits


class SandboxConfig(Section):
    """Where code written by a model runs."""

    # auto: the best that works here; "unsafe" only by name
    backend: Literal["auto", "bubblewrap", "sandlock", "unsafe"] = "auto"
    packages: Names = ("numpy", "pandas", "scipy", "sympy")  # what functions may import
    seconds: Seconds = 10.0  # wall clock of one call
    memory_mb: Count = 512
    scratch_mb: Count = 64
    output_kb: Count = 256  # of stdout and of a result
    processes: Count | None = None  # calls at once; None: by the number of cores


class ExecutorConfig(Section):
    """Where episodes run."""

    kind: Literal["local", "processes", "ray"] = (
        "local"  # in this process, in several, on a cluster
    )
    workers: Count | None = None  # None: as many as help, one for each core
    # a worker that says nothing for so long is killed, and its episodes run in another one
    silence_s: Annotated[float, Field(ge=5)] = 60.0
    # Ray: "host:port" of a cluster, "auto" for the one this machine is of; None: one made here
    address: str | None = None

    @model_validator(mode="after")
    def _suits(self) -> Self:
        if self.address is not None and self.kind != "ray":
            raise ValueError(f'address is for kind = "ray", not "{self.kind}"')
        if self.workers is not None and self.kind == "local":
            raise ValueError('workers are for kind = "processes" or "ray", not "local"')
        if self.address is not None and self.address.startswith("ray://"):
            raise ValueError(
                'address "ray://..." is of Ray\'s client, which is not supported: run on a machine '
                'of the cluster with address = "auto"'
            )
        return self


class ModelConfig(Section):
    """What funcforge cannot know of a model, or should know better. Keys: environment only."""

    base_url: str | None = None
    context_tokens: Count | None = None
    max_output_tokens: Count | None = None
    prompt_usd_per_million: Annotated[float, Field(ge=0)] | None = None
    cached_usd_per_million: Annotated[float, Field(ge=0)] | None = None
    completion_usd_per_million: Annotated[float, Field(ge=0)] | None = None
    timeout_s: Seconds | None = None  # None: [limits] call_timeout_s
    stream: bool = False  # take replies piece by piece, to time their first token
    extra: dict[str, Any] = Field(default_factory=dict)  # passed on to the provider as it is

    @model_validator(mode="after")
    def _no_secrets(self) -> Self:
        # the config is stored with the run: a key in it would be too
        from ..secrets import looks_secret

        for name, value in self.extra.items():
            if looks_secret(name, value):
                raise ValueError(f"extra.{name}: keys come from the environment, never the config")
        if self.base_url is not None and "@" in self.base_url.partition("://")[2].split("/")[0]:
            raise ValueError("base_url holds a user or password: set the key in the environment")
        if self.base_url is not None and not self.base_url.startswith(("http://", "https://")):
            raise ValueError('base_url must begin with "http://" or "https://"')
        return self


class ArmParameters(Section):
    """Parameters of an arm. The record keeps what they are: a resumed run sees no later change."""

    source: str  # as it was written: a file of `export --format json`, or RUN[@VERSION]
    body: dict[str, Any] | None = None  # filled in when the run is opened


def _arm_parameters(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return None if value == "untrained" else {"source": value}


ArmSource = Annotated[ArmParameters | None, BeforeValidator(_arm_parameters)]
ArmName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f\"]+$")]


class ArmConfig(Section):
    """One side of a comparison."""

    name: ArmName
    model: ModelName | None = None  # None: the agent's
    parameters: ArmSource = None  # None, or "untrained": nothing learned
    trained: str | None = None  # name of a [[compare.trained]]: what is learned there
    # RUN of `evaluate`, or RUN/ARM of a comparison: its episodes are taken as they are
    recorded: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.recorded is not None and (self.model or self.parameters or self.trained):
            raise ValueError(
                f'arm "{self.name}" is recorded: its model and parameters are those of the run'
            )
        if self.parameters is not None and self.trained is not None:
            raise ValueError(f'arm "{self.name}" has both parameters and trained: choose one')
        return self


class LearnedConfig(Section):
    """Something learned, to be evaluated on every one of `compare.models`."""

    name: ArmName
    parameters: ArmSource


class TrainedConfig(Section):
    """Something that the comparison learns itself, by [optimizer] and [training], as a run."""

    name: ArmName
    model: ModelName | None = None  # that learns; None: the agent's
    categories: Names = ()  # of the training and validation tasks only these; empty: all


class CompareConfig(Section):
    """Which arms are compared, and how sure the verdicts are to be."""

    arms: Annotated[tuple[ArmConfig, ...], Field(strict=False)] = ()
    # transfer: every model x (untrained, and everything learned) makes an arm
    models: Annotated[tuple[ModelName, ...], Field(strict=False)] = ()
    learned: Annotated[tuple[LearnedConfig, ...], Field(strict=False)] = ()
    # learned first, within this comparison and its budget; then as if it were learned before
    trained: Annotated[tuple[TrainedConfig, ...], Field(strict=False)] = ()
    train: bool = False  # learn on each of the models: short for a [[compare.trained]] of each
    repeats: Count = 1  # episodes per task and arm
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05  # over all pairs together, by Holm's method
    fail_if: Names = ()  # conditions of the regression gate, e.g. "accuracy(B) < accuracy(A)"
    strict: bool = False  # whether the gate also fails where it cannot tell

    def all_arms(self) -> tuple[ArmConfig, ...]:
        """Return the arms, those of the transfer matrix after the ones that are named."""
        sets: list[tuple[str | None, dict[str, Any]]] = [(None, {})]
        sets += [(one.name, {"parameters": one.parameters}) for one in self.learned]
        sets += [(one.name, {"trained": one.name}) for one in self.lessons()]
        grid = [
            ArmConfig(name=arm_name(model, learned), model=model, **source)
            for model in self.models
            for learned, source in sets
        ]
        return (*self.arms, *grid)

    def lessons(self) -> tuple[TrainedConfig, ...]:
        """Return what the comparison learns itself."""
        each = [
            TrainedConfig(name=lesson_name(model), model=model)
            for model in (self.models if self.train else ())
        ]
        return (*self.trained, *each)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.learned and not self.models:
            raise ValueError("learned needs models: the ones on which it is evaluated")
        if self.train and not self.models:
            raise ValueError("train needs models: the ones that learn, and are evaluated")
        arms = self.all_arms()
        self._check_lessons(arms)
        if len(arms) < 2:
            raise ValueError(
                "needs at least two arms: two [[compare.arms]], or models = [...] "
                "with [[compare.learned]]"
            )
        seen: set[str] = set()
        for arm in arms:
            if arm.name in seen:
                raise ValueError(f'two arms are named "{arm.name}": each needs a name of its own')
            seen.add(arm.name)
        for condition in self.fail_if:
            _check_condition(condition, seen)
        return self

    def _check_lessons(self, arms: tuple[ArmConfig, ...]) -> None:
        names = [lesson.name for lesson in self.lessons()]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f'two trainings are named "{twice}": each needs a name of its own')
        used = {arm.trained for arm in arms} - {None}
        if unknown := next((name for name in used if name not in names), None):
            listed = ", ".join(f'"{name}"' for name in names) or "none"
            raise ValueError(f'trained = "{unknown}" is no [[compare.trained]]; there is {listed}')
        if unused := next((name for name in names if name not in used), None):
            raise ValueError(
                f'"{unused}" is trained, but no arm takes it: set models, or an arm\'s trained'
            )


def _check_condition(text: str, arms: set[str]) -> None:
    from ...engine.errors import ConfigError
    from ...engine.gate import parse

    try:
        condition = parse(text)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    for arm in condition.arms:
        if arm not in arms:
            named = ", ".join(sorted(arms))
            raise ValueError(f"fail_if: {text!r} names {arm!r}, which is no arm; arms are {named}")


def arm_name(model: str, learned: str | None) -> str:
    """Return the name of an arm of the transfer matrix."""
    return f"{model} + {learned}" if learned else model


def lesson_name(model: str) -> str:
    """Return the name of what `compare.train` learns on a model."""
    return f"trained on {model}"


class StoreConfig(Section):
    """Where runs are kept. Relative to the working folder."""

    path: str = ".funcforge/runs.db"
    cache: bool = False  # take replies that earlier runs here paid for, by request and repeat


class LogConfig(Section):
    """What is logged, and where."""

    level: Literal["debug", "info", "warning", "error"] = "warning"
    format: Literal["console", "json"] = "console"
    file: str | None = None  # None: stderr. Relative to the working folder


class Config(Section):
    """A whole run."""

    name: str = ""  # for people; empty: the file's name
    seed: int = 0
    parameters: str | None = None  # file of `export --format json`; what learning starts from
    agent: AgentConfig
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    tasks: TasksConfig
    environment: EnvironmentConfig | None = None  # None: tasks need no world
    scorer: ScorerConfig = Field(default_factory=ScorerConfig)
    critic: CriticConfig | None = None
    selection: SelectionConfig = Field(default_factory=SelectionConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    finetune: FinetuneConfig = Field(default_factory=FinetuneConfig)
    compare: CompareConfig | None = None
    budget: BudgetConfig = Field(default_factory=BudgetConfig)
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
    sandbox: SandboxConfig = Field(default_factory=SandboxConfig)
    executor: ExecutorConfig = Field(default_factory=ExecutorConfig)
    models: dict[str, ModelConfig] = Field(default_factory=dict)
    store: StoreConfig = Field(default_factory=StoreConfig)
    log: LogConfig = Field(default_factory=LogConfig)

    @model_validator(mode="before")
    @classmethod
    def _model_of_an_arm(cls, data: Any) -> Any:
        """Take the first arm's model where none is named for the agent."""
        match data:
            case {"compare": {"arms": [*arms]}}:
                models = [arm.get("model") for arm in arms if isinstance(arm, dict)]
            case {"compare": {"models": [*models]}}:
                pass
            case _:
                return data
        agent = data.get("agent", {})
        named = [model for model in models if isinstance(model, str)]
        if named and isinstance(agent, dict) and "model" not in agent:
            return {**data, "agent": {**agent, "model": named[0]}}
        return data

    @property
    def optimizer_model(self) -> str:
        """The model that proposes: its own, or the agent's."""
        return self.optimizer.model or self.agent.model

    @property
    def models_used(self) -> frozenset[str]:
        """Every model that the run may ask."""
        if self.compare is not None:
            arms = (arm for arm in self.compare.all_arms() if arm.recorded is None)
            named = {arm.model or self.agent.model for arm in arms}
            for lesson in self.compare.lessons():
                learns = lesson.model or self.agent.model
                named |= {learns, self.optimizer.model or learns}
        else:
            named = {self.agent.model, self.optimizer_model}
        judges = {self.scorer.model, self.critic.model if self.critic else None}
        return frozenset(model for model in (*named, *judges) if model is not None)

    def record(self) -> dict[str, Any]:
        """Return the complete settings as JSON, to store with the run. Holds no secret."""
        return self.model_dump(mode="json")

    @model_validator(mode="after")
    def _signals(self) -> Self:
        training = self.training
        if training.signal == "critic" and self.critic is None:
            raise ValueError(
                'training.signal is "critic" but there is no [critic]: set critic.model, '
                'e.g. "openai/gpt-4o"'
            )
        if training.signal == "critic" and self.optimizer.feedback == "target":
            raise ValueError(
                'optimizer.feedback is "target" but training.signal is "critic", which knows no '
                'target; allowed are "score" and "comment"'
            )
        if training.accept_by == "gold" and training.signal == "gold":
            raise ValueError('training.accept_by is "gold", which training.signal is already')
        if training.accept_by == "gold" and training.accept_on == "train":
            raise ValueError(
                'training.accept_by = "gold" needs training.accept_on = "validation": the '
                "training tasks go by the critic"
            )
        return self

    @model_validator(mode="after")
    def _lessons(self) -> Self:
        if self.compare is None or not self.compare.lessons():
            return self
        missing = next((name for name in SPLITS[::2] if getattr(self.tasks, name) is None), None)
        if missing is not None:
            raise ValueError(
                f"the comparison trains, but tasks.{missing} is not set: it learns on the train "
                "tasks, and compares on the sealed test"
            )
        if self.optimizer.kind == "finetune":
            raise ValueError(
                'the comparison trains, but optimizer.kind is "finetune": weights are of one model '
                "only. Train by itself, and take its RUN as the parameters of an arm"
            )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.training.accept_on == "validation" and self.tasks.validation is None:
            raise ValueError('training.accept_on is "validation" but tasks.validation is not set')
        train = self.tasks.train
        if train and train.count != "rest" and self.training.batch_size > train.count:
            raise ValueError(
                f"training.batch_size is {self.training.batch_size} but tasks.train has "
                f"{train.count} tasks"
            )
        return self
