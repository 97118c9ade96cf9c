"""The scores of the rows of tables: by column where a row is surely right, and otherwise as POST /predict scores it."""
