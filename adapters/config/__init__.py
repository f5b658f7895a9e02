"""The settings of a run, and how they are read: TOML < environment < command line."""

from .load import load_config, load_record, load_sandbox
from .sections import (
    AccountLimits,
    AgentConfig,
    BudgetConfig,
    Config,
    EnvironmentConfig,
    LimitsConfig,
    LogConfig,
    ModelConfig,
    OptimizerConfig,
    PromptFile,
    SandboxConfig,
    ScorerConfig,
    SplitConfig,
    StoreConfig,
    TasksConfig,
    TrainingConfig,
)

__all__ = [
    "AccountLimits",
    "AgentConfig",
    "BudgetConfig",
    "Config",
    "EnvironmentConfig",
    "LimitsConfig",
    "LogConfig",
    "ModelConfig",
    "OptimizerConfig",
    "PromptFile",
    "SandboxConfig",
    "ScorerConfig",
    "SplitConfig",
    "StoreConfig",
    "TasksConfig",
    "TrainingConfig",
    "load_config",
    "load_record",
    "load_sandbox",
]
