"""From Parquet to samples and arrays.

In reading order: ``files`` finds the files; ``forms`` knows the types of picture columns, ``columns`` finds what a
file calls picture, id, label and group; ``reading`` yields rows in batches, ``cells`` being their pictures and
``labels`` the rest; ``pictures`` turns encoded bytes into pixels; ``decoding`` does so for many batches at once;
``cache`` keeps the pixels, memory-mapped; ``inputs`` hands them out by sample number. Beside them, ``label_files``
reads labels by id, and ``packing`` makes a Parquet file of a folder of pictures.

Knows nothing of torch and of the store: what predicts without either starts here too.
"""
