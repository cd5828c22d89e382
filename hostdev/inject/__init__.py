"""One run: gather what was given, match it with what is asked for, plan, write the domain."""
