-- Tables and vectors beside pictures: what a dataset's columns are, or how long its vectors; NULL for pictures.

ALTER TABLE dataset ADD COLUMN shape JSON;
