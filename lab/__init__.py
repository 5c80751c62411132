"""What the trainings mean: recipes, runs, verdicts, reports.

    import lab

    run = lab.load("runs/quickstart")              # or lab.run("recipes/quickstart.yaml", jobs=2)
    run.results                                    # pydantic, the schema of results.json
    run.checkpoints()                              # pandas.DataFrame; also run.cells(), run.samples()
    run.verdict("sandbagging", "static").sentence
    run.plot("curves", setting="sandbagging", variant="static").savefig("curves.pdf")
    run.report("report.html")

Importing `lab` loads neither torch nor pandas.
"""

from lab.api import ArmVerdict, Run, load, run
from serving.errors import BadInput, WorkFailed

__all__ = ["ArmVerdict", "BadInput", "Run", "WorkFailed", "load", "run"]
