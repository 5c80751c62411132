"""Training curves and rates in W&B, Trackio or TensorBoard, where a recipe says `report_to`.

A process next to the driver (`process`) follows the files of a run (`follow`) and sends what is new to each tracker
(`trackers`): one run per cell, in the group of the run folder. What trains and evaluates knows nothing of it, so it is
the same for every backend and executor, and a tracker that hangs or fails stops nothing.

    <run>/tracking/<cell id>.json    the tracker's id of the cell's run, and whether everything was sent
    <run>/tracking/wandb/            W&B's own files, those of offline runs among them
    <run>/tracking/tensorboard/      event files, a folder per cell

Not covered: `python -m trainer.sft --report_to`, by which TRL sends the curves of one training itself.
"""
