"""How answers are printed: cells, findings, documents, terminals."""
