"""The scored rows of files go to the log, as those of POST /predict do."""
