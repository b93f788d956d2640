END {
    read_table(spec["data.file"])
    measure(1)
    printf "after epoch %d: accuracy %.6f of %d rows\n", done, accuracy, measured
}
