"""Files and tables with many observations: scored by column, in constant memory."""
