"""Previews of folders as trainers read them: `picture_preview` and `clip_preview`."""
