"""scikit-learn's classifiers as teachers of tables and vectors: chosen by cross-validation, saved without pickle."""
