"""Tests of the flows: one module for each verb, real digits, tiny trainings."""
