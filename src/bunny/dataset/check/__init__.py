"""What trainers see of a folder, picture by picture; put together by `dataset.check.trainer_preview`."""
