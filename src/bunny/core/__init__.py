"""Settings, workspace, errors, log and safe writes."""
