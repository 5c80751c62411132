#!/bin/bash
# A run by a SLURM job array into one folder on shared storage:  sbatch slurm.sh recipes/mine.yaml
#SBATCH --job-name=bct
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --output=%x-%A_%a.out
# With GPUs:  sbatch --gpus-per-task=1 slurm.sh recipes/mine.yaml

# Two minutes before its time is up a task is queued again; it goes on where it stopped.
trap 'scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"' USR1

bct run "$@" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" &
driver=$!
wait "$driver" || wait "$driver"
