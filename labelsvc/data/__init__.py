"""From Parquet to samples and arrays.

In reading order: ``columns`` finds what a file calls picture, id and label; ``reading`` yields rows in
batches; ``pictures`` turns encoded bytes into pixels; ``decoding`` does so for many batches at once;
``cache`` keeps the pixels, memory-mapped; ``inputs`` hands them out by sample number.

Knows nothing of torch and of the store: what predicts without either starts here too.
"""
