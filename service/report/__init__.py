"""The report on a log for people: the figures of GET /performance and GET /drift with charts, as one HTML file."""
