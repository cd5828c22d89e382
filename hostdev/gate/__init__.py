"""May these devices be given to one VM: rules over a Machine, and verdicts made of findings."""
