"""The sample film: script, drawing and writing; the package has the finished files."""
