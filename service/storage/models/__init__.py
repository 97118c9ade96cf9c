"""The registry in the database: models with their files, the champion and the history of promotions."""
