"""What a person looks at: words made of records. Reads nothing and writes nothing."""
