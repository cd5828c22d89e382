"""A report in the forms of other programs: SARIF, JUnit, and the annotations of GitHub."""
