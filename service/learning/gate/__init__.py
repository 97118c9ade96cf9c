"""The gate: whether a challenger may replace the champion, from the predictions of both and the truth. Pure functions
without files, database or clock."""
