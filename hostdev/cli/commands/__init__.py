"""The commands of `passgate` as rows, a module a family; none imports anything of what the commands do."""
