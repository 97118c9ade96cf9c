"""All SQL: the connection, the schema and every statement."""
