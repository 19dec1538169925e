"""Tests of the room that turns Parquet into samples and arrays."""
