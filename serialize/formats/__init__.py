"""Forms of data that need a translation: datetimes as strings, and tables of other libraries."""
