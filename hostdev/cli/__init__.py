"""The command line `passgate`: a table of commands, and one way to parse, print, fail, complete and document them."""
