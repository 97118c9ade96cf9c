"""Runs of many parts: in this process, in several, or on a cluster; with one file as output, or a folder."""
