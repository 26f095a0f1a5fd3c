"""Settings, workspace, errors, log, safe writes: what everything stands on."""
