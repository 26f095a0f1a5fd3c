"""Shot detection: cuts, fades and dissolves; TransNetV2 and PySceneDetect as choices."""
