"""Terms of public ontologies for what a curated file says: cell lines, cell types, genes, compounds, perturbations."""
