"""Files and tables with many observations, in constant memory."""
