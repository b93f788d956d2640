"""What people look at: words, tables, progress, charts and the page of a run."""
