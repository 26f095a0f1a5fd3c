"""Training sets as other tools read them: imagefolder, kohya's folders, WebDataset shards."""
