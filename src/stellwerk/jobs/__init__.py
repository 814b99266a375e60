"""The eight jobs that generative AI has brought to companies, and the tasks of each.

This is the catalogue only: the work of a job stands in its own package, which another distribution may also bring.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """One of the jobs: the name of its package, its title, its tasks."""

    name: str
    title: str
    tasks: tuple[str, ...]


JOBS = (
    Job(
        "data",
        "AI data engineer",
        ("acquire raw data", "clean and remove outliers", "transform", "protect personal data", "store and query",
         "automate pipelines", "test quality", "governance"),
    ),
    Job(
        "prompts",
        "Prompt engineer",
        ("prompt libraries", "test wordings", "optimise", "efficiency", "no unwanted outputs"),
    ),
    Job(
        "models",
        "Model curator",
        ("know the landscape", "choose the right model", "evaluate", "optimise models"),
    ),
    Job(
        "training",
        "AI trainer",
        ("fine-tune generative models", "optimise for tasks", "measure accuracy"),
    ),
    Job(
        "security",
        "AI security expert",
        ("find weaknesses", "model threats", "protect", "monitor and detect attacks", "policies and workshops"),
    ),
    Job(
        "ethics",
        "AI ethicist",
        ("risks", "bias found and removed", "rules and whether they are kept", "data protection", "training", "answers"),
    ),
    Job(
        "cloud",
        "AI cloud architect",
        ("design architectures", "size", "price", "secure", "scale", "deploy"),
    ),
    Job(
        "strategy",
        "AI business strategist",
        ("where AI pays", "process deficits", "strategy", "projects with milestones", "effect", "trends", "reports"),
    ),
)  # fmt: skip
