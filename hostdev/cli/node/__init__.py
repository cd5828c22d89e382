"""The commands of `passgate node`: one file each, all with `run(arguments) -> exit code`."""
