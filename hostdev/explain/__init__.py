"""What pasted messages mean: text is cleaned, rules are matched and judged, causes are ranked."""
