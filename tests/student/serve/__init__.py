"""Tests of the server, most of them of a running one."""
