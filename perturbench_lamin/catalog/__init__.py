"""What is known of the datasets, as data: files, citations, licences, tasks, expected shapes."""
