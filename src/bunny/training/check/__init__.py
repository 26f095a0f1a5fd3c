"""What trainers see of a folder, picture by picture; put together by `training.faithful`."""
