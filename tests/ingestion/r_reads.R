# Reads simulated deposits with R and says what is in them. Usage: Rscript r_reads.R <file>...
suppressMessages({
  library(SeuratObject)
  library(SingleCellExperiment)
})
# monocle3 may not be installed, so that slots are taken as the attributes that they are.
first_of <- function(holder) attr(holder, "listData")[[1]]

for (path in commandArgs(TRUE)) {
  found <- readRDS(path)
  if (is.list(found)) found <- found[[1]]
  if (class(found)[[1]] == "Seurat") {
    stopifnot(validObject(found))
    counts <- GetAssayData(found, "counts")
    column <- found$gene
  } else {
    assays <- attr(found, "assays")
    fields <- attr(assays, ".xData")
    counts <- first_of(if (is.null(fields)) attr(assays, "data") else fields$data)
    stopifnot(validObject(attr(found, "colData")), validObject(attr(found, "rowRanges")))
    column <- attr(found, "colData")$gene_id
  }
  stopifnot(validObject(counts))
  cat(class(found)[[1]], dim(counts), sum(counts), rownames(counts)[[1]], colnames(counts)[[2]],
      as.character(column[[1]]), "\n", sep = " ")
}
