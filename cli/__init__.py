"""The command line: a file for each verb, which parses, makes one call of ``labelsvc.flows`` and prints.

::

    main       builds the program, and turns errors into a line and an exit code
    options    the options that verbs share
    settings   where an option's value comes from: flag, environment, labelsvc.toml, default
    terminal   what people see while something is done: progress and notes
    closing    what they see at its end: what came of it, and the line that accounts for the rows
    tables     aligned text
    answer     the one JSON object of --json

Nothing here is imported by the library. Importing it loads neither torch nor duckdb, so that --help is quick.
"""
