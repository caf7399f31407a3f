# Writes what R itself makes of the objects that deposits hold, and what is in them as plain text.
# Usage: Rscript r_objects.R <folder>
folder <- commandArgs(TRUE)[[1]]
at <- function(name) file.path(folder, name)
suppressMessages({
  library(Matrix)
  library(SeuratObject)
  library(SingleCellExperiment)
})

n_genes <- 7
n_cells <- 11
set.seed(1)
dense <- matrix(rpois(n_genes * n_cells, 0.8) * seq_len(n_genes), n_genes, n_cells)
dimnames(dense) <- list(paste0("GENE-", seq_len(n_genes)), paste0("cell.", seq_len(n_cells)))
counts <- Matrix(dense, sparse = TRUE)
meta <- data.frame(
  gene = factor(rep(c("NT", "STAT1"), length.out = n_cells), levels = c("STAT1", "NT", "unused")),
  treatment = rep(c("IFN\u03b3", NA), length.out = n_cells),
  passed = rep(c(TRUE, FALSE, NA), length.out = n_cells),
  number = c(NA, seq_len(n_cells - 1)),
  share = seq(0, 1, length.out = n_cells),
  row.names = colnames(dense)
)
write.csv(dense, at("counts.csv"))
write.csv(meta, at("meta.csv"), fileEncoding = "UTF-8")

# Seurat: counts, normalised and scaled values, an embedding, a graph, and a command with a function in it
seurat <- CreateSeuratObject(counts, meta.data = meta)
seurat <- SetAssayData(seurat, "data", new.data = log1p(counts / 3))
seurat <- SetAssayData(seurat, "scale.data", new.data = dense / 2)
embedding <- matrix(rnorm(2 * n_cells), n_cells, 2, dimnames = list(colnames(dense), c("PC_1", "PC_2")))
seurat[["pca"]] <- CreateDimReducObject(embedding, key = "PC_", assay = "RNA")
seurat[["nn"]] <- as.Graph(Matrix(diag(n_cells), sparse = TRUE, dimnames = list(colnames(dense), colnames(dense))))
seurat[["ADT"]] <- CreateAssayObject(counts = counts[1:2, ])
Misc(seurat, "transform") <- compiler::cmpfun(function(x) { for (i in 1:10) x <- x + i; x })
saveRDS(seurat, at("seurat.rds"))
saveRDS(seurat, at("seurat-xz-2.rds"), version = 2, compress = "xz")
saveRDS(seurat, at("seurat-bzip2.rds"), compress = "bzip2")
saveRDS(seurat, at("seurat-plain.rds"), compress = FALSE)
saveRDS(CreateSeuratObject(log1p(counts)), at("seurat-normalised.rds"))

# monocle3's class extends SingleCellExperiment by four lists
setClass("cell_data_set",
  contains = "SingleCellExperiment",
  slots = c(reduce_dim_aux = "SimpleList", principal_graph_aux = "SimpleList",
            principal_graph = "SimpleList", clusters = "SimpleList")
)
genes <- DataFrame(id = paste0("ENSG", seq_len(n_genes), ".1"), gene_short_name = rownames(dense),
                   row.names = rownames(dense))
cells <- DataFrame(meta, row.names = colnames(dense))
sce <- SingleCellExperiment(list(counts = counts), colData = cells, rowData = genes)
reducedDim(sce, "PCA") <- embedding
cds <- new("cell_data_set", sce)
saveRDS(sce, at("sce.rds"))
saveRDS(cds, at("cds.rds"))
saveRDS(list(U87MG = cds, A172 = cds[, 3:5]), at("cds-list.rds"))
other <- cds
assay(other, "counts") <- dense
saveRDS(other, at("cds-dense.rds"))
assay(other, "counts") <- as(counts, "TsparseMatrix")
saveRDS(other, at("cds-triplets.rds"))

# Alternative representations, byte code, and what comes after them
saveRDS(list(
  sequence = 1:100000,
  labels = as.character(1:20),
  steps = seq(0, 9),
  wrapped = .Internal(wrap_meta(c(3L, 1L), FALSE, FALSE)),
  code = compiler::cmpfun(function(x, ...) if (x > 1) sapply(x, function(y) y^2) else switch(x, a = 1, b = 2)),
  formula = y ~ x + 1,
  environment = environment(),
  last = c(a = 1.5, b = NA)
), at("others.rds"))
cat("written\n")
