"""Arrays of items by column: parsed, scored, stored and answered without an object for each item."""
