"""Models in the database: registered, promoted to champion, rolled back and retired."""
