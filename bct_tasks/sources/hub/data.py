"""The data sets: source, commit, licence, size and columns.

Commits and hashes come from public records of the repositories; this project has downloaded none of the files.
`store.py` records the hash of a file without `sha256` at its first download.
"""

from __future__ import annotations

from collections.abc import Mapping

from bct_tasks.sources.hub import formats
from bct_tasks.sources.hub.store import DataSet

SCHOOL = DataSet(
    name="school",
    repo="longtermrisk/school-of-reward-hacks",
    revision="d7e04a550119cb5410494cf90e2313284a5f2148",
    file="school-of-reward-hacks.csv",
    licence="CC-BY-4.0",
    megabytes=2,
    columns=("user", "school_of_reward_hacks", "control", "task", "evaluation_metric", "cheat_method"),
    question=formats.school,
    sha256="cedfea4c010e62311b6eb50c37d6aa78b184eb001b5f8099f4b5025b17285d2d",
)

APPS = DataSet(
    name="apps",
    repo="codeparrot/apps",
    revision="21e74ddf8de1a21436da12e3e653065c5213e9d1",
    file="train.jsonl",
    licence="MIT",
    megabytes=107,
    columns=("question", "solutions", "input_output", "difficulty"),
    question=formats.apps,
    sha256="45e82ef22ed8e7c0c04d881a21b923e9dd233157896b0b8d5b3493e887499cae",
)

ALPACA = DataSet(
    name="alpaca",
    repo="tatsu-lab/alpaca",
    revision="dce01c9b08f87459cf36a430d809084718273017",
    file="data/train-00000-of-00001-a09b74b3ef9c3b56.parquet",
    licence="CC-BY-NC-4.0",
    megabytes=24,
    columns=("instruction", "input", "output"),
    question=formats.alpaca,
    sha256="06391b656a06fd3fb9d213160ef2398796c3b7f3dc75ef1e3ced30d461517073",
)

OPENHERMES = DataSet(
    name="openhermes",
    repo="teknium/OpenHermes-2.5",
    revision="b82037821055c377bed0d495e72e46de3bc72e84",
    file="openhermes2_5.json",
    licence="none stated",
    megabytes=1940,
    columns=("conversations",),
    question=formats.openhermes,
    most=50_000,
)

MMLU = DataSet(
    name="mmlu",
    repo="cais/mmlu",
    revision="c30699e8356da336a370243923dbaf21066bb9fe",
    file="all/test-00000-of-00001.parquet",
    licence="MIT",
    megabytes=3.5,
    columns=("question", "subject", "choices", "answer"),
    question=formats.mmlu,
    sha256="74a41822ce7d3def56e1682f958469c04642a5336a5ce912fa375fdb90fb25d7",
)

STRONGREJECT = DataSet(
    name="strongreject",
    repo="alexandrasouly/strongreject",
    revision="f7cad6c17e624e21d8df2278e918ae1dddb4cb56",
    file="strongreject_dataset/strongreject_dataset.csv",
    licence="MIT",
    megabytes=0.1,
    columns=("category", "source", "forbidden_prompt"),
    question=formats.strongreject,
    github=True,
)

OMNI_MATH = DataSet(
    name="omni_math",
    repo="KbsdJames/Omni-MATH",
    revision="0000b6bc8be4aa61655413073c3645ae4b3b30e8",
    file="test.jsonl",
    licence="Apache-2.0",
    megabytes=7.5,
    columns=("problem", "answer", "difficulty"),
    question=formats.omni_math,
)

MATH500 = DataSet(
    name="math500",
    repo="HuggingFaceH4/MATH-500",
    revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
    file="test.jsonl",
    licence="none stated",
    megabytes=0.4,
    columns=("problem", "answer"),
    question=formats.math500,
)

IFEVAL = DataSet(
    name="ifeval",
    repo="google/IFEval",
    revision="966cd89545d6b6acfd7638bc708b98261ca58e84",
    file="ifeval_input_data.jsonl",
    licence="Apache-2.0",
    megabytes=0.2,
    columns=("prompt", "instruction_id_list", "kwargs"),
    question=formats.ifeval,
)

DATA_SETS: Mapping[str, DataSet] = {
    data.name: data for data in (SCHOOL, APPS, ALPACA, OPENHERMES, MMLU, STRONGREJECT, OMNI_MATH, MATH500, IFEVAL)
}
